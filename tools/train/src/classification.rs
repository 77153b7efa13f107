//! A classifier of texts: an encoder with its head, and the batches it reads.

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

/// Tokens of one forward pass without gradient: enough to keep a device busy.
const EVALUATION_TOKENS: usize = 8192;

/// Encoder and head over parameters of their own.
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
    /// Its own id of each id that it is given, `[vocabulary]`, where those are another vocabulary's.
    numbers: Option<Tensor>,
}

/// What a forward pass went through.
#[derive(Debug)]
pub struct Trace {
    /// See [`Encoder::states`].
    pub states: Vec<Tensor>,
    /// `[batch, labels]`, f32.
    pub logits: Tensor,
}

/// Stands for the label of a text that has none.
pub const UNLABELLED: usize = usize::MAX;

/// A text as ids, `[CLS]` and `[SEP]` included, and its label.
#[derive(Clone, Debug)]
pub struct EncodedExample {
    /// Token ids.
    pub ids: Vec<u16>,
    /// Index of the label, or [`UNLABELLED`].
    pub label: usize,
    /// Whether the text's source knows of each label whether it applies; nothing where it knows of all.
    pub known: Option<Arc<[bool]>>,
    /// Logarithms of the probabilities of the labels that somebody gave the text before.
    pub taught: Option<Arc<[f32]>>,
    /// Ids of changed copies, with the same label and probabilities.
    pub copies: Vec<Vec<u16>>,
}

impl EncodedExample {
    /// A text by itself, from a source that knows of all labels.
    pub fn new(ids: Vec<u16>, label: usize) -> Self {
        Self { ids, label, known: None, taught: None, copies: Vec::new() }
    }

    /// Rows of a batch that it takes with its copies.
    pub fn rows(&self) -> usize {
        1 + self.copies.len()
    }

    /// Tokens of the longest of them.
    pub fn longest(&self) -> usize {
        self.copies.iter().fold(self.ids.len(), |longest, copy| longest.max(copy.len()))
    }
}

impl TextClassifier {
    /// The encoder of `folder` with a head for `labels`: the folder's own where it has these labels, else a new one that
    /// depends on `seed`.
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

    /// The classifier that `folder` is, in f32; refuses one without its head.
    pub fn read(folder: &Folder, device: Device) -> Result<Self> {
        Self::load(folder, labels_of(folder)?, true, device, Precision::F32, 0)
    }

    /// With `head` the head is the folder's too, and must be there.
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

    /// A classifier of random weights; `more` are parameters of the run that are no part of the model.
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

    /// See [`Parameters::freeze`].
    pub fn freeze(&mut self, layers: i64) {
        self.parameters.freeze(layers);
        self.encoder = Encoder::new(&self.parameters, &self.config, "", None);
        self.head = Classifier::new(&self.parameters, &self.config);
    }

    /// From now on it is given ids of another vocabulary; `map` has its own id for each of them, see
    /// [`crate::data::piece_map`].
    pub fn renumber(&mut self, map: &[i64]) -> Result<()> {
        self.numbers = Some(Tensor::f_from_slice(map)?.f_to_device(self.device)?);
        Ok(())
    }

    /// See [`Self::renumber`]; `ids` as they are where there is none.
    pub fn own_ids(&self, ids: &Tensor) -> Result<Tensor> {
        match &self.numbers {
            Some(numbers) => Ok(numbers.f_index_select(0, &ids.f_reshape([-1])?)?.f_view(&ids.size()[..])?),
            None => Ok(ids.shallow_clone()),
        }
    }

    /// Logits `[batch, labels]`, f32.
    pub fn logits(&self, batch: &LabelledBatch, mode: Mode) -> Result<Tensor> {
        let states = self.encoder.forward(&self.own_ids(&batch.ids)?, batch.present.as_ref(), mode)?;
        Ok(self.head.forward(&states, mode)?.f_to_kind(Kind::Float)?)
    }

    /// Logits, and what led to them.
    pub fn trace(&self, batch: &LabelledBatch, mode: Mode) -> Result<Trace> {
        let states = self.encoder.states(&self.own_ids(&batch.ids)?, batch.present.as_ref(), mode)?;
        let last = &states[states.len() - 1];
        let logits = self.head.forward(last, mode)?.f_to_kind(Kind::Float)?;
        Ok(Trace { states, logits })
    }

    /// The encoder alone.
    pub fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    /// Logits `[batch, labels]`, f32, without dropout and with the parts in `int8` computed as the runtime does: where
    /// that is everything, the runtime's logits. The model must be one for it, see [`Folder::check_for_runtime`], and its parameters f32.
    pub fn logits_int8(&self, batch: &LabelledBatch, int8: Int8) -> Result<Tensor> {
        let states = self.encoder.forward_int8(&batch.ids, batch.present.as_ref(), int8)?;
        self.head.forward_int8(&states, int8)
    }

    /// Figures over `examples`, without dropout.
    pub fn evaluate(&self, examples: &[EncodedExample], padding: u16) -> Result<Metrics> {
        Ok(metrics_of(&self.logits_of_all(examples, padding, None)?, examples))
    }

    /// The logits of each of `examples`, without dropout; as the runtime computes them where `int8` says so.
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

    /// Divides the last layer, and with it all logits, by `temperature`.
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
        // A slash is in the names of parameters that only the run needs.
        tensors.retain(|name, _| !name.contains('/'));
        folder::write(path, &self.config, &head, &tensors, vocabulary)
    }
}

/// Refuses logits that are not finite: weights of `folder` that are too large.
pub fn check_logits(logits: &[Vec<f64>], folder: &Folder) -> Result<()> {
    match logits.iter().flatten().find(|logit| !logit.is_finite()) {
        Some(found) => {
            Err(Error::field(&folder.file(WEIGHTS), "logits", found.to_string(), "finite numbers"))
        }
        None => Ok(()),
    }
}

/// Figures of logits that belong to `examples`, each among the labels that its source knows.
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

/// The labels of the classifier in a folder; another model is refused.
pub fn labels_of(folder: &Folder) -> Result<&[String]> {
    match &folder.head {
        Head::Classification(labels) => Ok(labels),
        _ => {
            let expected = "a classifier, as `electra-train finetune` writes it";
            Err(Error::field(&folder.file(CONFIG), "architectures", "another model", expected))
        }
    }
}

/// Tokenizes on all cores; texts longer than `longest` tokens are cut. `known` is what their source knows, see
/// [`EncodedExample::known`].
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

/// The tokenizer of a folder, which must not know more tokens than the model.
pub fn tokenizer_of(folder: &Folder) -> Result<WordPieceTokenizer> {
    let tokenizer = WordPieceTokenizer::read_for(folder.config.family, &folder.vocabulary())?;
    if tokenizer.size() as i64 > folder.config.vocab_size {
        let found = format!("{} tokens", tokenizer.size());
        let expected = format!("at most vocab_size of config.json, {}", folder.config.vocab_size);
        return Err(Error::field(tokenizer.file(), "lines", found, expected));
    }
    Ok(tokenizer)
}
