//! Reads checkpoints in the layout of the Hugging Face hub: a folder with `config.json`,
//! `model.safetensors` and a vocabulary.

pub mod config;
pub(crate) mod weights;

use std::path::Path;

use electra_formats::tokenizer;

use crate::checkpoint::{Checkpoint, check_vocabulary_fits};
use crate::error::Error;

/// Reads a folder as `save_pretrained` of `transformers` writes it.
///
/// The folder must contain:
///
/// - `config.json` of an `ElectraForSequenceClassification` or `ElectraForPreTraining`;
/// - `model.safetensors`, or its shards and their index, with any mix of f32, f16 and bf16;
/// - `vocab.txt` or `tokenizer.json`.
///
/// If `tokenizer_config.json`, `special_tokens_map.json` or `added_tokens.json` exists, it is
/// checked. Settings that a file omits have the defaults of `transformers`.
///
/// # Errors
///
/// Fails if something is missing, damaged, contradictory or not supported by the runtime; see
/// [`Error`].
pub fn read(folder: &Path) -> Result<Checkpoint, Error> {
    let metadata = std::fs::metadata(folder).map_err(|source| Error::read(folder, source))?;
    if !metadata.is_dir() {
        return Err(Error::field(
            folder,
            "path",
            "a file",
            "a folder with config.json and model.safetensors",
        ));
    }
    let config = config::read(&folder.join("config.json"))?;
    let vocabulary = tokenizer::read_folder(folder, &tokenizer::BERT)?;
    check_vocabulary_fits(folder, &vocabulary, &config)?;
    let tensors = weights::read(folder, &config)?;
    Ok(Checkpoint { config, tensors, vocabulary })
}
