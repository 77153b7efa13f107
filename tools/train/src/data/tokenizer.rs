//! BERT's uncased WordPiece tokenizer, from the `tokenizers` crate. The runtime's own tokenizer
//! gives the same ids.

use std::path::{Path, PathBuf};

use ahash::AHashMap;
use electra_formats::tokenizer::read_file;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::{Model, Tokenizer};

use crate::error::{Error, Result};
use crate::model::Family;

/// Converts text to ids, without `[CLS]` and `[SEP]`.
#[derive(Debug)]
pub struct WordPieceTokenizer {
    file: PathBuf,
    tokenizer: Tokenizer,
    /// Ids of the special tokens.
    pub special: Special,
    /// Pieces, indexed by id.
    pub pieces: Vec<String>,
}

/// Ids of special tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Special {
    /// Padding of short rows in a batch.
    pub pad: u16,
    /// First token of every input.
    pub cls: u16,
    /// Last token of every input, and the separator of documents.
    pub sep: u16,
    /// Replacement of a token that the model predicts.
    pub mask: u16,
}

impl WordPieceTokenizer {
    /// Reads `vocab.txt` or `tokenizer.json`, with the names of BERT's special tokens.
    pub fn read(file: &Path) -> Result<Self> {
        Self::read_for(Family::Bert, file)
    }

    /// Reads the file with the names that `family` gives its special tokens.
    pub fn read_for(family: Family, file: &Path) -> Result<Self> {
        let pieces = read_file(file, family.tokenizer())?;
        let refuse =
            |reason: &dyn ToString| Error::Tokenizer { file: file.to_path_buf(), reason: reason.to_string() };
        // Among equal pieces the last one is used, as in the runtime.
        let vocabulary: AHashMap<String, u32> = pieces.iter().cloned().zip(0..).collect();
        let model = WordPiece::builder().vocab(vocabulary).build().map_err(|error| refuse(&error))?;
        let id = |token: &str| match model.token_to_id(token) {
            Some(id) => Ok(id as u16),
            None => Err(Error::field(file, token, "no such line", "one: every model needs this token")),
        };
        let names = family.tokenizer();
        let special =
            Special { pad: id(names.pad)?, cls: id(names.cls)?, sep: id(names.sep)?, mask: id(names.mask)? };
        let mut tokenizer = Tokenizer::new(model);
        tokenizer
            .with_normalizer(Some(BertNormalizer::new(true, true, None, true)))
            .map_err(|error| refuse(&error))?
            .with_pre_tokenizer(Some(BertPreTokenizer));
        Ok(Self { file: file.to_path_buf(), tokenizer, special, pieces })
    }

    /// Returns the number of pieces.
    pub fn size(&self) -> usize {
        self.pieces.len()
    }

    /// Returns the path of the file that was read.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Appends the ids of `text`.
    pub fn encode_into(&self, text: &str, ids: &mut Vec<u16>) -> Result<()> {
        let encoding = self
            .tokenizer
            .encode_fast(text, false)
            .map_err(|error| Error::Tokenizer { file: self.file.clone(), reason: error.to_string() })?;
        ids.extend(encoding.get_ids().iter().map(|&id| id as u16));
        Ok(())
    }

    /// Returns the ids of `[CLS] text [SEP]`, cut to `longest` tokens.
    pub fn encode_framed(&self, text: &str, longest: usize) -> Result<Vec<u16>> {
        let mut ids = vec![self.special.cls];
        self.encode_into(text, &mut ids)?;
        ids.truncate(longest.saturating_sub(1).max(1));
        ids.push(self.special.sep);
        Ok(ids)
    }
}
