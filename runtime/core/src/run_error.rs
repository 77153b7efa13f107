//! Errors of a run.

use core::fmt;

use crate::arena::ArenaError;
use crate::model::ModelError;

/// Errors of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum RunError {
    /// A sequence has no tokens, or there are more tokens than fit.
    Length {
        /// Tokens given.
        tokens: usize,
        /// The maximum.
        max: usize,
    },
    /// No sequences, or more than fit.
    Sequences {
        /// Sequences given.
        found: usize,
        /// The maximum.
        max: usize,
    },
    /// A token id is beyond the vocabulary.
    Token {
        /// Its position in its sequence.
        position: usize,
        /// The id.
        id: u16,
        /// Number of ids in the vocabulary.
        vocab_size: usize,
    },
    /// A logit is infinite or NaN.
    NotFinite {
        /// Its index: of a label, or of a token of the sequence.
        index: usize,
    },
    /// The arena cannot hold the run.
    Arena(ArenaError),
    /// The model has no layer of the given index.
    Model(ModelError),
}

impl From<ArenaError> for RunError {
    fn from(error: ArenaError) -> Self {
        Self::Arena(error)
    }
}

impl From<ModelError> for RunError {
    fn from(error: ModelError) -> Self {
        Self::Model(error)
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { tokens, max } => write!(f, "sequence of {tokens} tokens, expected 1 to {max}"),
            Self::Sequences { found, max } => write!(f, "{found} sequences, expected 1 to {max}"),
            Self::Token { position, id, vocab_size } => {
                write!(f, "token id {id} at position {position}, expected below {vocab_size}")
            }
            Self::NotFinite { index } => write!(
                f,
                "logit {index} is not finite, expected a finite number: the weights of the model are too large for this text"
            ),
            Self::Arena(error) => write!(f, "{error}"),
            Self::Model(error) => write!(f, "model: {error}"),
        }
    }
}

impl core::error::Error for RunError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Arena(source) => Some(source),
            Self::Model(source) => Some(source),
            Self::Length { .. } | Self::Sequences { .. } | Self::Token { .. } | Self::NotFinite { .. } => {
                None
            }
        }
    }
}
