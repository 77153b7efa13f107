//! Sizes of a model, checked once when it is opened.

use core::fmt;

use crate::kernels::LANES;

/// The head on top of the encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a new head must be handled wherever heads are told apart")]
pub enum HeadKind {
    /// Assigns one of several labels to a text: `ElectraForSequenceClassification`.
    Classification,
    /// One logit per token, positive for "replaced": `ElectraForPreTraining`.
    ReplacedTokenDetection,
}

impl fmt::Display for HeadKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Classification => "classification",
            Self::ReplacedTokenDetection => "replaced-token detection",
        })
    }
}

/// Sizes of a model; names follow Hugging Face's `config.json`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "packers make it, and a new size must be set by all of them")]
pub struct Config {
    /// The head on top of the encoder.
    pub head: HeadKind,
    /// Rows of the word embeddings.
    pub vocab_size: usize,
    /// Width of an embedding row.
    pub embedding_size: usize,
    /// Width of a hidden state.
    pub hidden_size: usize,
    /// Encoder layers.
    pub num_hidden_layers: usize,
    /// Attention heads per layer.
    pub num_attention_heads: usize,
    /// Width inside the feed-forward block.
    pub intermediate_size: usize,
    /// Longest sequence, `[CLS]` and `[SEP]` included.
    pub max_position_embeddings: usize,
    /// Rows of the token type embeddings.
    pub type_vocab_size: usize,
    /// Labels of a classification head; 1 for replaced-token detection.
    pub num_labels: usize,
    /// Added to the variance in every LayerNorm.
    pub layer_norm_eps: f32,
}

impl Config {
    /// Bytes of the encoded config.
    pub const ENCODED_LEN: usize = 64;

    /// Returns the width of one attention head.
    #[must_use]
    pub fn head_size(&self) -> usize {
        self.hidden_size / self.num_attention_heads
    }

    /// Returns whether there is a projection between embeddings and encoder.
    #[must_use]
    pub fn has_projection(&self) -> bool {
        self.embedding_size != self.hidden_size
    }

    /// Returns the number of labels, rounded up to a multiple of the kernels' sixteen columns.
    #[must_use]
    pub fn padded_labels(&self) -> usize {
        self.num_labels.next_multiple_of(LANES)
    }

    /// Returns the number of logits of a run of `sequences` that have `tokens` tokens together.
    #[must_use]
    pub fn num_logits(&self, tokens: usize, sequences: usize) -> usize {
        match self.head {
            HeadKind::Classification => self.num_labels.saturating_mul(sequences),
            HeadKind::ReplacedTokenDetection => tokens,
        }
    }

    /// Returns whether only the first row of each sequence is read after `layer`. This is so for
    /// the last layer of a classifier, whose head reads only `[CLS]`.
    #[must_use]
    pub fn reads_only_first_row(&self, layer: usize) -> bool {
        self.head == HeadKind::Classification && layer + 1 == self.num_hidden_layers
    }

    /// Checks every size against what the kernels can compute.
    ///
    /// # Errors
    /// Names the first field that does not fit.
    pub fn validate(&self) -> Result<(), ConfigError> {
        const LARGEST: usize = 65_536;
        let multiple = |field, found: usize| match found {
            LANES..=LARGEST if found.is_multiple_of(LANES) => Ok(()),
            _ => Err(ConfigError { field, found, expected: "a multiple of 16 from 16 to 65536" }),
        };
        let between = |field, found: usize, most: usize, expected| {
            if (1..=most).contains(&found) { Ok(()) } else { Err(ConfigError { field, found, expected }) }
        };
        between("vocab_size", self.vocab_size, 65_535, "1 to 65535")?;
        multiple("embedding_size", self.embedding_size)?;
        multiple("hidden_size", self.hidden_size)?;
        multiple("intermediate_size", self.intermediate_size)?;
        between("num_hidden_layers", self.num_hidden_layers, 1024, "1 to 1024")?;
        between("num_attention_heads", self.num_attention_heads, self.hidden_size, "1 to hidden_size")?;
        if !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            let (field, found) = ("num_attention_heads", self.num_attention_heads);
            return Err(ConfigError { field, found, expected: "a divisor of hidden_size" });
        }
        multiple("hidden_size / num_attention_heads", self.head_size())?;
        between("max_position_embeddings", self.max_position_embeddings, 65_535, "1 to 65535")?;
        between("type_vocab_size", self.type_vocab_size, 1024, "1 to 1024")?;
        between("num_labels", self.num_labels, 4096, "1 to 4096")?;
        if self.head == HeadKind::ReplacedTokenDetection && self.num_labels != 1 {
            return Err(ConfigError { field: "num_labels", found: self.num_labels, expected: "1" });
        }
        if !(self.layer_norm_eps >= 0.0 && self.layer_norm_eps < 1.0) {
            let found = self.layer_norm_eps.to_bits() as usize;
            return Err(ConfigError { field: "layer_norm_eps (bits)", found, expected: "0.0 to 1.0" });
        }
        Ok(())
    }

    /// Returns the form stored in a model file: sixteen little-endian words (see
    /// `docs/model-format.md`).
    #[must_use]
    pub fn encode(&self) -> [u8; Self::ENCODED_LEN] {
        let head = match self.head {
            HeadKind::Classification => 1,
            HeadKind::ReplacedTokenDetection => 2,
        };
        let sizes = [
            self.vocab_size,
            self.embedding_size,
            self.hidden_size,
            self.num_hidden_layers,
            self.num_attention_heads,
            self.intermediate_size,
            self.max_position_embeddings,
            self.type_vocab_size,
            self.num_labels,
        ];
        let mut words = [0u32; 16];
        words[0] = head;
        for (word, size) in words[1..].iter_mut().zip(sizes) {
            *word = size as u32;
        }
        words[10] = self.layer_norm_eps.to_bits();
        words[11] = GELU;
        words[12] = WORDPIECE_UNCASED;
        let mut bytes = [0; Self::ENCODED_LEN];
        for (bytes, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(words) {
            *bytes = word.to_le_bytes();
        }
        bytes
    }

    /// Reads and validates the stored form.
    ///
    /// # Errors
    /// Names the first field that does not fit. A wrong length of `bytes` counts as a field of its
    /// own.
    pub fn decode(bytes: &[u8]) -> Result<Self, ConfigError> {
        let Ok(bytes) = <&[u8; Self::ENCODED_LEN]>::try_from(bytes) else {
            return Err(ConfigError { field: "config length", found: bytes.len(), expected: "64" });
        };
        let mut words = [0u32; 16];
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<4>().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        let head = match words[0] {
            1 => HeadKind::Classification,
            2 => HeadKind::ReplacedTokenDetection,
            found => {
                let expected = "1 (classification) or 2 (replaced-token detection)";
                return Err(ConfigError { field: "head", found: found as usize, expected });
            }
        };
        for (field, at, expected) in [("activation", 11, GELU), ("tokenizer", 12, WORDPIECE_UNCASED)] {
            if words[at] != expected {
                return Err(ConfigError { field, found: words[at] as usize, expected: "1" });
            }
        }
        if let Some(found) = words[13..].iter().find(|word| **word != 0) {
            return Err(ConfigError { field: "reserved", found: *found as usize, expected: "0" });
        }
        let size = |at: usize| words[at] as usize;
        let config = Self {
            head,
            vocab_size: size(1),
            embedding_size: size(2),
            hidden_size: size(3),
            num_hidden_layers: size(4),
            num_attention_heads: size(5),
            intermediate_size: size(6),
            max_position_embeddings: size(7),
            type_vocab_size: size(8),
            num_labels: size(9),
            layer_norm_eps: f32::from_bits(words[10]),
        };
        config.validate()?;
        Ok(config)
    }
}

/// Code of the activation: GELU with erf.
const GELU: u32 = 1;
/// Code of the tokenizer: WordPiece on lower-cased text without accents, as in the published BERT
/// and ELECTRA.
const WORDPIECE_UNCASED: u32 = 1;

/// A field of the config that this runtime does not support.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigError {
    /// The field's name in `config.json`, or else in the stored form.
    pub field: &'static str,
    /// Its value.
    pub found: usize,
    /// The values allowed.
    pub expected: &'static str,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "config: {} is {}, expected {}", self.field, self.found, self.expected)
    }
}

impl core::error::Error for ConfigError {}
