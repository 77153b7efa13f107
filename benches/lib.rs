//! Code that the benchmarks share.
#![forbid(unsafe_code)]

use electra::ModelFile;

/// Sequence lengths at which runs are measured.
pub const LENGTHS: [usize; 4] = [8, 32, 128, 512];

/// Opens the model in the repository.
///
/// # Errors
/// When the model is missing or damaged.
pub fn default_model() -> Result<ModelFile, electra::Error> {
    ModelFile::open_default()
}

/// Returns `len` ids: `[CLS]`, ids of ordinary words, `[SEP]`. `len` must be at least 2.
#[must_use]
pub fn ids(file: &ModelFile, len: usize) -> Vec<u16> {
    let special = file.model().vocabulary().special();
    let mut ids = vec![special.cls];
    ids.extend((0..len.saturating_sub(2) as u16).map(|i| 2000 + i * 37 % 20_000));
    ids.push(special.sep);
    ids
}
