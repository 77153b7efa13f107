//! An ELECTRA checkpoint in memory, in f32, whatever file it came from.

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::Error;

/// Width to which the runtime's kernels block their matrices, in elements.
pub use electra_core::LANES as BLOCK;
/// Largest vocabulary: token ids are 16 bits wide and the last id is kept free.
pub use electra_core::tokenizer::vocabulary::MAX_TOKENS as MAX_VOCABULARY;
/// The five tokens that BERT's uncased WordPiece tokenizer and the runtime give a meaning of their own.
pub use electra_core::tokenizer::vocabulary::SPECIAL_TOKENS;

const MAX_WIDTH: usize = 16_384;
const MAX_LAYERS: usize = 255;
const MAX_POSITIONS: usize = 65_535;
const MAX_TOKEN_TYPES: usize = 255;
const MAX_LABELS: usize = 4_096;
const MAX_EPSILON: f32 = 0.1;

/// The weights, sizes and vocabulary of one ELECTRA model.
///
/// A reader hands one out only after checking it: `tensors` holds exactly the names and shapes of
/// [`Config::tensor_shapes`], every value is finite, and `vocabulary` has at most `config.vocab_size` tokens, the
/// [`SPECIAL_TOKENS`] among them.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Sizes, the LayerNorm epsilon and the head.
    pub config: Config,
    /// Weights by their Hugging Face name, `electra.embeddings.word_embeddings.weight` for instance.
    pub tensors: BTreeMap<String, Tensor>,
    /// WordPiece tokens; the index is the id. There may be fewer than rows in the word embeddings: Hugging Face pads
    /// `vocab_size` to rounder numbers, and no text reaches the rows beyond.
    pub vocabulary: Vec<String>,
}

/// What the graph of an ELECTRA model depends on besides its weights. The activation is always GELU with the error
/// function and positions are always absolute: readers refuse everything else.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Rows of the word embeddings.
    pub vocab_size: usize,
    /// Width of the embeddings; projected to `hidden_size` where they differ.
    pub embedding_size: usize,
    /// Width of the encoder.
    pub hidden_size: usize,
    /// Encoder layers.
    pub num_hidden_layers: usize,
    /// Attention heads per layer; each is `hidden_size / num_attention_heads` wide.
    pub num_attention_heads: usize,
    /// Width of the feed-forward blocks.
    pub intermediate_size: usize,
    /// Longest input in tokens.
    pub max_position_embeddings: usize,
    /// Rows of the token type embeddings.
    pub type_vocab_size: usize,
    /// Added to the variance in every LayerNorm.
    pub layer_norm_eps: f32,
    /// What the model predicts.
    pub head: Head,
}

/// The layers on top of the encoder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Head {
    /// One label for a text, from the hidden state of `[CLS]` (`ElectraForSequenceClassification`).
    Classification {
        /// Names in the order of the logits; at least two.
        labels: Vec<String>,
    },
    /// One logit per token, positive where it was replaced (`ElectraForPreTraining`).
    ReplacedTokenDetection,
}

/// A dense array in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Sizes of the dimensions, outermost first; linear weights are `[outputs, inputs]`.
    pub shape: Vec<usize>,
    /// The values; as many as the product of `shape`.
    pub data: Vec<f32>,
}

impl Config {
    /// Width of one attention head.
    pub fn head_size(&self) -> usize {
        self.hidden_size.checked_div(self.num_attention_heads).unwrap_or(0)
    }

    /// Name and shape of every tensor of a model with these sizes, named as by Hugging Face's
    /// `modeling_electra.py`. `electra.embeddings_project` exists only where the embeddings are not as wide as the
    /// encoder.
    pub fn tensor_shapes(&self) -> Vec<(String, Vec<usize>)> {
        let (embedding, hidden, intermediate) =
            (self.embedding_size, self.hidden_size, self.intermediate_size);
        let mut shapes = Shapes(Vec::new());
        shapes.add("electra.embeddings.word_embeddings.weight", &[self.vocab_size, embedding]);
        shapes
            .add("electra.embeddings.position_embeddings.weight", &[self.max_position_embeddings, embedding]);
        shapes.add("electra.embeddings.token_type_embeddings.weight", &[self.type_vocab_size, embedding]);
        shapes.layer_norm("electra.embeddings.LayerNorm", embedding);
        if embedding != hidden {
            shapes.linear("electra.embeddings_project", hidden, embedding);
        }
        for layer in 0..self.num_hidden_layers {
            let layer = format!("electra.encoder.layer.{layer}");
            for projection in ["query", "key", "value"] {
                shapes.linear(&format!("{layer}.attention.self.{projection}"), hidden, hidden);
            }
            shapes.linear(&format!("{layer}.attention.output.dense"), hidden, hidden);
            shapes.layer_norm(&format!("{layer}.attention.output.LayerNorm"), hidden);
            shapes.linear(&format!("{layer}.intermediate.dense"), intermediate, hidden);
            shapes.linear(&format!("{layer}.output.dense"), hidden, intermediate);
            shapes.layer_norm(&format!("{layer}.output.LayerNorm"), hidden);
        }
        match &self.head {
            Head::Classification { labels } => {
                shapes.linear("classifier.dense", hidden, hidden);
                shapes.linear("classifier.out_proj", labels.len(), hidden);
            }
            Head::ReplacedTokenDetection => {
                shapes.linear("discriminator_predictions.dense", hidden, hidden);
                shapes.linear("discriminator_predictions.dense_prediction", 1, hidden);
            }
        }
        shapes.0
    }

    /// Refuses sizes that the runtime cannot work with; `file` is where they came from.
    pub(crate) fn check(&self, file: &Path) -> Result<(), Error> {
        let within = |field: &str, found: usize, least: usize, most: usize| {
            if (least..=most).contains(&found) {
                return Ok(());
            }
            Err(Error::field(file, field, found.to_string(), format!("{least} to {most}")))
        };
        within("vocab_size", self.vocab_size, SPECIAL_TOKENS.len(), MAX_VOCABULARY)?;
        within("num_hidden_layers", self.num_hidden_layers, 1, MAX_LAYERS)?;
        // Room for [CLS], one token and [SEP].
        within("max_position_embeddings", self.max_position_embeddings, 3, MAX_POSITIONS)?;
        within("type_vocab_size", self.type_vocab_size, 1, MAX_TOKEN_TYPES)?;
        for (field, found) in [
            ("embedding_size", self.embedding_size),
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
        ] {
            within(field, found, BLOCK, MAX_WIDTH)?;
            if found % BLOCK != 0 {
                return Err(Error::field(file, field, found.to_string(), format!("a multiple of {BLOCK}")));
            }
        }
        let heads = self.num_attention_heads;
        within("num_attention_heads", heads, 1, self.hidden_size / BLOCK)?;
        if !self.hidden_size.is_multiple_of(heads) || !self.head_size().is_multiple_of(BLOCK) {
            return Err(Error::field(
                file,
                "num_attention_heads",
                format!("{heads} with hidden_size {}", self.hidden_size),
                format!("a number that divides hidden_size into heads whose width is a multiple of {BLOCK}"),
            ));
        }
        if !(self.layer_norm_eps > 0.0 && self.layer_norm_eps <= MAX_EPSILON) {
            return Err(Error::field(
                file,
                "layer_norm_eps",
                format!("{:?}", self.layer_norm_eps),
                format!("a number above 0 and at most {MAX_EPSILON}"),
            ));
        }
        if let Head::Classification { labels } = &self.head {
            within("id2label", labels.len(), 2, MAX_LABELS)?;
            for (index, label) in labels.iter().enumerate() {
                // A label is printed, and answers are told apart by it.
                if label.is_empty() || label.contains(char::is_control) || labels[..index].contains(label) {
                    let expected = "a name of its own, without control characters";
                    return Err(Error::field(
                        file,
                        format!("id2label {index}"),
                        format!("{label:?}"),
                        expected,
                    ));
                }
            }
        }
        Ok(())
    }
}

struct Shapes(Vec<(String, Vec<usize>)>);

impl Shapes {
    fn add(&mut self, name: &str, shape: &[usize]) {
        self.0.push((name.to_owned(), shape.to_vec()));
    }

    fn linear(&mut self, name: &str, outputs: usize, inputs: usize) {
        self.add(&format!("{name}.weight"), &[outputs, inputs]);
        self.add(&format!("{name}.bias"), &[outputs]);
    }

    fn layer_norm(&mut self, name: &str, width: usize) {
        self.add(&format!("{name}.weight"), &[width]);
        self.add(&format!("{name}.bias"), &[width]);
    }
}

impl Tensor {
    /// Refuses another shape than `shape` and values that are not finite; `note` says what the expectation rests on.
    pub(crate) fn check(&self, file: &Path, name: &str, shape: &[usize], note: &str) -> Result<(), Error> {
        if self.shape != shape {
            let found = format!("shape {:?}", self.shape);
            return Err(Error::field(file, name, found, format!("shape {shape:?} {note}")));
        }
        if let Some((index, value)) = self.data.iter().enumerate().find(|(_, value)| !value.is_finite()) {
            return Err(Error::field(file, name, format!("{value} at index {index}"), "finite values only"));
        }
        Ok(())
    }
}

/// Refuses more tokens than the word embeddings have rows; `file` is where the vocabulary came from.
pub(crate) fn check_vocabulary_fits(
    file: &Path,
    vocabulary: &[String],
    config: &Config,
) -> Result<(), Error> {
    if vocabulary.len() > config.vocab_size {
        return Err(Error::field(
            file,
            "vocabulary",
            format!("{} tokens", vocabulary.len()),
            format!("at most the {} of vocab_size", config.vocab_size),
        ));
    }
    Ok(())
}
