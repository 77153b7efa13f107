//! Code that the tests share: models that are made from a seed only, opened in memory or as files.
#![forbid(unsafe_code)]

mod firmware;
mod memory;
mod random;
mod seeds;

use std::path::{Path, PathBuf};

use electra::ModelFile;
use electra_pack::checkpoint::Checkpoint;

pub use firmware::{FIRMWARE_MODEL, firmware_model};
pub use memory::Aligned;
pub use random::{Random, Sizes, letters, published_vocabulary};
pub use seeds::fuzz_seeds;

/// Returns the folder of reference data outside the repository, from `ELECTRA_SHARED`. If it is not
/// set, reports that `test` is left out and returns `None`.
#[must_use]
pub fn shared(test: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("ELECTRA_SHARED").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("{test}: left out: ELECTRA_SHARED is not set");
    }
    folder
}

/// Packs a checkpoint and returns the bytes of the model file.
///
/// # Panics
/// When it cannot be packed.
#[must_use]
pub fn pack(checkpoint: &Checkpoint) -> Vec<u8> {
    let packed = electra_pack::model_file::pack(checkpoint, &[("name", "test")]);
    packed.unwrap_or_else(|error| panic!("{error}")).bytes
}

/// Packs a Hugging Face folder and returns the bytes of the model file.
///
/// # Panics
/// When it cannot be read or packed.
#[must_use]
pub fn pack_folder(folder: &Path) -> Vec<u8> {
    pack(&read_folder(folder))
}

/// Reads the checkpoint in a Hugging Face folder.
///
/// # Panics
/// When it cannot be read.
#[must_use]
pub fn read_folder(folder: &Path) -> Checkpoint {
    electra_pack::hugging_face::read(folder).unwrap_or_else(|error| panic!("{error}"))
}

/// Opens the bytes of a model file with the library `electra`, from a temporary file that is
/// deleted afterwards.
///
/// # Panics
/// When the file cannot be written or is not a model file.
#[must_use]
pub fn model_file(bytes: &[u8]) -> ModelFile {
    let path = temporary(bytes);
    ModelFile::open(&path).unwrap_or_else(|error| panic!("{error}"))
}

/// Writes `bytes` to a temporary file, which is deleted when the path is dropped.
///
/// # Panics
/// When it cannot be written.
#[must_use]
pub fn temporary(bytes: &[u8]) -> tempfile::TempPath {
    let file = tempfile::NamedTempFile::new().unwrap_or_else(|error| panic!("temporary file: {error}"));
    std::fs::write(file.path(), bytes).unwrap_or_else(|error| panic!("temporary file: {error}"));
    file.into_temp_path()
}
