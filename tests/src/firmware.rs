//! The model that replaces a trained one in the tests of `firmware-examples/typing-detector`.

use crate::{Sizes, pack};

/// Path of the model in the repository.
pub const FIRMWARE_MODEL: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../firmware-examples/typing-detector/random.electra");

/// Returns a model for replaced-token detection with random weights. It marks some words and not
/// others, without meaning.
///
/// # Panics
/// When the model cannot be packed.
#[must_use]
pub fn firmware_model() -> Vec<u8> {
    pack(&Sizes { vocab: 96, positions: 64, labels: None, ..Sizes::TINY }.checkpoint(3))
}
