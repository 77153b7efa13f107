//! WordPiece without an allocator: BERT's uncased tokenizer. Its tokens and offsets are those of
//! the `tokenizers` crate (0.23, `BertNormalizer`, `BertPreTokenizer`, `WordPiece`, special tokens
//! added).
//!
//! [`Vocabulary`] is a view of a section of the model file. [`Tokenizer`] splits texts with it.
#![forbid(unsafe_code)]

mod ascii;
pub mod hash;
mod marks;
mod normalizer;
mod offsets;
mod pieces;
#[rustfmt::skip]
mod tables;
mod unicode;
pub mod vocabulary;
mod word;

#[cfg(test)]
mod tests;

use core::{error, fmt};

pub use offsets::CharacterOffsets;
pub use pieces::{Pieces, Token};
pub use vocabulary::{SpecialIds, Vocabulary, VocabularyError};

/// Splits texts into tokens of a vocabulary.
#[derive(Clone, Copy, Debug)]
pub struct Tokenizer<'m> {
    vocabulary: Vocabulary<'m>,
}

impl<'m> Tokenizer<'m> {
    /// Creates a tokenizer for a vocabulary, which is known to have all special tokens.
    #[must_use]
    pub fn new(vocabulary: Vocabulary<'m>) -> Self {
        Self { vocabulary }
    }

    /// Returns the vocabulary.
    #[must_use]
    pub fn vocabulary(&self) -> &Vocabulary<'m> {
        &self.vocabulary
    }

    /// Returns the tokens of a text in order, without `[CLS]` and `[SEP]`. Special tokens written
    /// out in the text are recognised. Words of more than 100 characters and words that the
    /// vocabulary cannot spell become `[UNK]`.
    ///
    /// # Errors
    ///
    /// When the text has more than `u32::MAX` bytes, the range of the offsets.
    pub fn pieces<'a>(&self, text: &'a str) -> Result<Pieces<'a>, TextTooLong>
    where
        'm: 'a,
    {
        check_length(text.len())?;
        Ok(Pieces::new(self.vocabulary, text))
    }

    /// Writes `[CLS]`, the tokens of a text and `[SEP]` to the beginning of `ids`. If not all
    /// tokens fit, only the first ones are written. Nothing is written to a slice of fewer than two
    /// ids.
    ///
    /// # Errors
    ///
    /// When the text has more than `u32::MAX` bytes.
    pub fn encode(&self, text: &str, ids: &mut [u16]) -> Result<Encoding, TextTooLong> {
        let mut pieces = self.pieces(text)?;
        let [cls, content @ .., sep] = ids else {
            return Ok(Encoding { len: 0, truncated: true });
        };
        let special = self.vocabulary.special();
        *cls = special.cls;
        let mut written = 0;
        for (place, piece) in content.iter_mut().zip(&mut pieces) {
            *place = piece.id;
            written += 1;
        }
        match content.get_mut(written) {
            Some(place) => *place = special.sep,
            None => *sep = special.sep,
        }
        Ok(Encoding { len: written + 2, truncated: pieces.next().is_some() })
    }
}

/// Result of [`Tokenizer::encode`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Encoding {
    /// Number of ids written, `[CLS]` and `[SEP]` included.
    pub len: usize,
    /// Whether the text had more tokens than fitted.
    pub truncated: bool,
}

/// The text has more than `u32::MAX` bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TextTooLong {
    /// Length of the text in bytes.
    pub bytes: usize,
}

impl fmt::Display for TextTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the text has {} bytes, expected at most {}", self.bytes, u32::MAX)
    }
}

impl error::Error for TextTooLong {}

fn check_length(bytes: usize) -> Result<(), TextTooLong> {
    match u32::try_from(bytes) {
        Ok(_) => Ok(()),
        Err(_) => Err(TextTooLong { bytes }),
    }
}
