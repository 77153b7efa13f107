//! Text classifier: an encoder with its head, and the encoded texts that it reads.

use std::cmp::Reverse;
use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;
use tch::{Device, Kind, Tensor};

use crate::batch::LabelledBatch;
use crate::data::{Example, WordPieceTokenizer};
use crate::device::Precision;
use crate::error::{Error, Result};
use crate::metrics::Metrics;
use crate::model::config::Head;
use crate::model::folder::{self, CONFIG, Folder, WEIGHTS};
use crate::model::{Classifier, Config, Encoder, Int8, Mode, Parameter, Parameters, output_name};

/// Tokens of one forward pass without gradients: enough to keep a device busy.
const EVALUATION_TOKENS: usize = 8192;

/// Encoder and head with parameters of their own.
#[derive(Debug)]
pub struct TextClassifier {
    /// Sizes of the encoder.
    pub config: Config,
    /// Names of the labels.
    pub labels: Vec<String>,
    /// All parameters.
    pub parameters: Parameters,
    encoder: Encoder,
    head: Classifier,
    device: Device,
    /// `[vocabulary]`: the model's own id for each input id, if the inputs use another vocabulary.
    numbers: Option<Tensor>,
}

/// Hidden states and logits of a forward pass.
#[derive(Debug)]
pub struct Trace {
    /// Hidden states, see [`Encoder::states`].
    pub states: Vec<Tensor>,
    /// `[batch, labels]`, f32.
    pub logits: Tensor,
}

/// Label index of a text without a label.
pub const UNLABELLED: usize = usize::MAX;

/// A text as ids, `[CLS]` and `[SEP]` included, and its label.
#[derive(Clone, Debug)]
pub struct EncodedExample {
    /// Token ids.
    pub ids: Vec<u16>,
    /// Index of the label, or [`UNLABELLED`].
    pub label: usize,
    /// For each label, whether the text's source covers it (setting `knows`); `None` if it covers
    /// all.
    pub known: Option<Arc<[bool]>>,
    /// Logarithms of the label probabilities that teachers computed earlier.
    pub taught: Option<Arc<[f32]>>,
    /// Ids of changed copies, which have the same label and probabilities.
    pub copies: Vec<Vec<u16>>,
}

impl EncodedExample {
    /// Returns a text without answers or copies, from a source that covers all labels.
    pub fn new(ids: Vec<u16>, label: usize) -> Self {
        Self { ids, label, known: None, taught: None, copies: Vec::new() }
    }

    /// Returns the number of batch rows that the text and its copies take.
    pub fn rows(&self) -> usize {
        1 + self.copies.len()
    }

    /// Returns the length in tokens of the longest of these rows.
    pub fn longest(&self) -> usize {
        self.copies.iter().fold(self.ids.len(), |longest, copy| longest.max(copy.len()))
    }
}

impl TextClassifier {
    /// Reads the encoder of `folder` and adds a head for `labels`. The head is the folder's own if
    /// that has these labels. Otherwise it is a random one that depends on `seed`.
    pub fn new(
        folder: &Folder,
        labels: &[String],
        device: Device,
        precision: Precision,
        seed: u64,
    ) -> Result<Self> {
        let same = matches!(&folder.head, Head::Classification(names) if names == labels);
        Self::load(folder, labels, same, device, precision, seed)
    }

    /// Reads the classifier in `folder`, in f32. Fails if the folder has no classification head.
    pub fn read(folder: &Folder, device: Device) -> Result<Self> {
        Self::load(folder, labels_of(folder)?, true, device, Precision::F32, 0)
    }

    /// Loads the encoder. With `head` also loads the head, which must then be in the folder.
    fn load(
        folder: &Folder,
        labels: &[String],
        head: bool,
        device: Device,
        precision: Precision,
        seed: u64,
    ) -> Result<Self> {
        let classifier = Self::random(&folder.config, labels, Vec::new(), device, precision, seed)?;
        let missing = folder.load_into(&classifier.parameters, head)?;
        match missing.first() {
            Some(name) if head => Err(folder.lacks_head(name)),
            _ => Ok(classifier),
        }
    }

    /// Returns a classifier with random weights. `more` lists parameters that the run needs but the
    /// model does not contain.
    pub fn random(
        config: &Config,
        labels: &[String],
        more: Vec<Parameter>,
        device: Device,
        precision: Precision,
        seed: u64,
    ) -> Result<Self> {
        let mut list = Encoder::parameters(config, "", false);
        list.extend(Classifier::parameters(config, labels.len()));
        list.extend(more);
        let parameters = Parameters::new(list, device, precision, seed)?;
        let encoder = Encoder::new(&parameters, config, "", None);
        let head = Classifier::new(&parameters, config);
        Ok(Self {
            config: config.clone(),
            labels: labels.to_vec(),
            parameters,
            encoder,
            head,
            device,
            numbers: None,
        })
    }

    /// Freezes the lowest layers, see [`Parameters::freeze`].
    pub fn freeze(&mut self, layers: i64) {
        self.parameters.freeze(layers);
        self.encoder = Encoder::new(&self.parameters, &self.config, "", None);
        self.head = Classifier::new(&self.parameters, &self.config);
    }

    /// Makes the classifier accept ids of another vocabulary. `map` has its own id for each of
    /// them, see [`crate::data::piece_map`].
    pub fn renumber(&mut self, map: &[i64]) -> Result<()> {
        self.numbers = Some(Tensor::f_from_slice(map)?.f_to_device(self.device)?);
        Ok(())
    }

    /// Maps `ids` to the model's own ids, see [`Self::renumber`]. Returns `ids` if there is no map.
    pub fn own_ids(&self, ids: &Tensor) -> Result<Tensor> {
        match &self.numbers {
            Some(numbers) => Ok(numbers.f_index_select(0, &ids.f_reshape([-1])?)?.f_view(&ids.size()[..])?),
            None => Ok(ids.shallow_clone()),
        }
    }

    /// Computes the logits, `[batch, labels]`, f32.
    pub fn logits(&self, batch: &LabelledBatch, mode: Mode) -> Result<Tensor> {
        let states = self.encoder.forward(&self.own_ids(&batch.ids)?, batch.present.as_ref(), mode)?;
        Ok(self.head.forward(&states, mode)?.f_to_kind(Kind::Float)?)
    }

    /// Computes the logits and keeps the hidden states.
    pub fn trace(&self, batch: &LabelledBatch, mode: Mode) -> Result<Trace> {
        let states = self.encoder.states(&self.own_ids(&batch.ids)?, batch.present.as_ref(), mode)?;
        let last = &states[states.len() - 1];
        let logits = self.head.forward(last, mode)?.f_to_kind(Kind::Float)?;
        Ok(Trace { states, logits })
    }

    /// Returns the encoder.
    pub fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    /// Computes the logits, `[batch, labels]`, f32, without dropout. The parts in `int8` are
    /// computed as the runtime computes them; if `int8` has all parts, the logits are those of the
    /// runtime. The runtime must support the model, see [`Folder::check_for_runtime`], and the
    /// parameters must be f32.
    pub fn logits_int8(&self, batch: &LabelledBatch, int8: Int8) -> Result<Tensor> {
        let states = self.encoder.forward_int8(&batch.ids, batch.present.as_ref(), int8)?;
        self.head.forward_int8(&states, int8)
    }

    /// Computes the metrics over `examples`, without dropout.
    pub fn evaluate(&self, examples: &[EncodedExample], padding: u16) -> Result<Metrics> {
        Ok(metrics_of(&self.logits_of_all(examples, padding, None)?, examples))
    }

    /// Computes the logits of each of `examples`, without dropout. The parts in `int8` are computed
    /// as the runtime computes them.
    pub fn logits_of_all(
        &self,
        examples: &[EncodedExample],
        padding: u16,
        int8: Option<Int8>,
    ) -> Result<Vec<Vec<f64>>> {
        let _guard = tch::no_grad_guard();
        let mut order: Vec<usize> = (0..examples.len()).collect();
        order.sort_by_key(|&index| Reverse(examples[index].ids.len()));
        let mut logits = vec![Vec::new(); examples.len()];
        let mut rest = &order[..];
        while let Some(&longest) = rest.first() {
            let count = (EVALUATION_TOKENS / examples[longest].ids.len()).clamp(1, rest.len());
            let (now, later) = rest.split_at(count);
            rest = later;
            let batch = now.iter().map(|&index| &examples[index]);
            let batch = LabelledBatch::without_copies(batch, padding, self.device)?;
            let found = match int8 {
                Some(int8) => self.logits_int8(&batch, int8)?,
                None => self.logits(&batch, Mode::Evaluate)?,
            };
            let flat: Vec<f64> = Vec::try_from(found.f_to_kind(Kind::Double)?.f_flatten(0, -1)?)?;
            for (&index, row) in now.iter().zip(flat.chunks(self.labels.len())) {
                logits[index] = row.to_vec();
            }
        }
        Ok(logits)
    }

    /// Divides the weights of the last layer, and so all logits, by `temperature`.
    pub fn divide_logits(&self, temperature: f64) -> Result<()> {
        let mut tensors = self.parameters.tensors()?;
        let last = output_name(self.config.family);
        tensors.retain(|name, _| name.starts_with(&format!("{last}.")));
        for tensor in tensors.values_mut() {
            let _divided = tensor.f_div_scalar_(temperature)?;
        }
        let name_in_file = |name: &str| Some(name.to_owned());
        self.parameters.load(&tensors, Path::new(last), name_in_file)?;
        Ok(())
    }

    /// Writes the Hugging Face folder; see [`folder::write`].
    pub fn write(&self, path: &Path, vocabulary: &Path) -> Result<()> {
        let head = Head::Classification(self.labels.clone());
        let mut tensors = self.parameters.tensors()?;
        // Parameters that only the run needs have a slash in their names.
        tensors.retain(|name, _| !name.contains('/'));
        folder::write(path, &self.config, &head, &tensors, vocabulary)
    }
}

/// Fails if a logit is not finite, which means that weights of `folder` are too large.
pub fn check_logits(logits: &[Vec<f64>], folder: &Folder) -> Result<()> {
    match logits.iter().flatten().find(|logit| !logit.is_finite()) {
        Some(found) => {
            Err(Error::field(&folder.file(WEIGHTS), "logits", found.to_string(), "finite numbers"))
        }
        None => Ok(()),
    }
}

/// Computes the metrics of `logits`, one row per example. A row counts only the labels that the
/// example's source covers.
pub fn metrics_of(logits: &[Vec<f64>], examples: &[EncodedExample]) -> Metrics {
    let among_known = |(row, example): (&Vec<f64>, &EncodedExample)| match &example.known {
        Some(known) => {
            let kept = |(&logit, &known)| if known { logit } else { f64::NEG_INFINITY };
            softmax(&row.iter().zip(known.iter()).map(kept).collect::<Vec<f64>>())
        }
        None => softmax(row),
    };
    let scores: Vec<Vec<f64>> = logits.iter().zip(examples).map(among_known).collect();
    let expected: Vec<usize> = examples.iter().map(|it| it.label).collect();
    Metrics::new(&scores, &expected)
}

fn softmax(logits: &[f64]) -> Vec<f64> {
    let greatest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = logits.iter().map(|logit| (logit - greatest).exp()).collect();
    let total: f64 = powers.iter().sum();
    powers.iter().map(|power| power / total).collect()
}

/// Returns the labels of the classifier in `folder`. Fails for any other model.
pub fn labels_of(folder: &Folder) -> Result<&[String]> {
    match &folder.head {
        Head::Classification(labels) => Ok(labels),
        _ => {
            let expected = "a classifier, as `electra-train finetune` writes it";
            Err(Error::field(&folder.file(CONFIG), "architectures", "another model", expected))
        }
    }
}

/// Encodes `examples` on all cores and cuts them to `longest` tokens. `known` are the labels that
/// their source covers, see [`EncodedExample::known`].
pub fn encode(
    examples: &[Example],
    tokenizer: &WordPieceTokenizer,
    longest: usize,
    known: Option<&Arc<[bool]>>,
) -> Result<Vec<EncodedExample>> {
    let encode = |example: &Example| {
        let ids = tokenizer.encode_framed(&example.text, longest)?;
        Ok(EncodedExample { known: known.cloned(), ..EncodedExample::new(ids, example.label) })
    };
    examples.par_iter().map(encode).collect()
}

/// Reads the tokenizer of `folder`. Fails if it has more tokens than the model.
pub fn tokenizer_of(folder: &Folder) -> Result<WordPieceTokenizer> {
    let tokenizer = WordPieceTokenizer::read_for(folder.config.family, &folder.vocabulary())?;
    if tokenizer.size() as i64 > folder.config.vocab_size {
        let found = format!("{} tokens", tokenizer.size());
        let expected = format!("at most vocab_size of config.json, {}", folder.config.vocab_size);
        return Err(Error::field(tokenizer.file(), "lines", found, expected));
    }
    Ok(tokenizer)
}
