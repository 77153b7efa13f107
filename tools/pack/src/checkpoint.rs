//! An ELECTRA checkpoint in memory. Its tensors are f32, whatever the type in the source file.

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::Error;

/// Block width of matrices in the kernels of the runtime, in elements.
pub use electra_core::LANES as BLOCK;
/// Largest number of tokens in a vocabulary. Token ids are 16 bits wide, and the last id stays
/// free.
pub use electra_core::tokenizer::vocabulary::MAX_TOKENS as MAX_VOCABULARY;
/// The five tokens that BERT's uncased WordPiece tokenizer and the runtime treat specially.
pub use electra_core::tokenizer::vocabulary::SPECIAL_TOKENS;

const MAX_WIDTH: usize = 16_384;
const MAX_LAYERS: usize = 255;
const MAX_POSITIONS: usize = 65_535;
const MAX_TOKEN_TYPES: usize = 255;
const MAX_LABELS: usize = 4_096;
const MAX_EPSILON: f32 = 0.1;

/// Weights, sizes and vocabulary of one ELECTRA model.
///
/// Readers return only checked values: `tensors` has exactly the names and shapes of
/// [`Config::tensor_shapes`], every number is finite, and `vocabulary` has at most
/// `config.vocab_size` tokens and contains the [`SPECIAL_TOKENS`].
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Sizes, the LayerNorm epsilon and the head.
    pub config: Config,
    /// Weights by their Hugging Face names, for example
    /// `electra.embeddings.word_embeddings.weight`.
    pub tensors: BTreeMap<String, Tensor>,
    /// WordPiece tokens; the index is the id. There may be fewer tokens than rows of word
    /// embeddings: Hugging Face rounds `vocab_size` up, and no text uses the rows without a token.
    pub vocabulary: Vec<String>,
}

/// Settings that determine the computation of an ELECTRA model besides its weights. The activation
/// is always GELU with the error function, and positions are always absolute. Readers refuse all
/// other settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Rows of the word embeddings.
    pub vocab_size: usize,
    /// Width of the embeddings. If it differs from `hidden_size`, the embeddings are projected.
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
    /// Head of the model.
    pub head: Head,
}

/// The layers on top of the encoder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Head {
    /// One logit per label for the whole text, from the hidden state of `[CLS]`
    /// (`ElectraForSequenceClassification`).
    Classification {
        /// Names of the labels in the order of the logits; at least two.
        labels: Vec<String>,
    },
    /// One logit per token. It is positive if the token was replaced (`ElectraForPreTraining`).
    ReplacedTokenDetection,
}

/// A dense array in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Sizes of the dimensions, outermost first. Linear weights have the shape `[outputs, inputs]`.
    pub shape: Vec<usize>,
    /// The values. Their number is the product of `shape`.
    pub data: Vec<f32>,
}

impl Config {
    /// Returns the width of one attention head.
    pub fn head_size(&self) -> usize {
        self.hidden_size.checked_div(self.num_attention_heads).unwrap_or(0)
    }

    /// Returns the name and shape of every tensor of a model with these sizes. The names are those
    /// of Hugging Face's `modeling_electra.py`. `electra.embeddings_project` exists only if the
    /// embeddings and the encoder have different widths.
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

    /// Refuses sizes that the runtime does not support. `file` is the source of the sizes, for
    /// messages.
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
                // A label is printed, and it must identify its answer.
                if label.is_empty() || label.contains(char::is_control) || labels[..index].contains(label) {
                    let expected = "a unique name without control characters";
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
    /// Refuses a shape other than `shape` and values that are not finite. `note` gives the source
    /// of the expected shape, for messages.
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

/// Refuses a vocabulary with more tokens than the word embeddings have rows. `file` is the source
/// of the vocabulary, for messages.
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
