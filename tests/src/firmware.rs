//! The model that stands in for a trained one where `firmware-examples/typing-detector` is tested.

use crate::{Sizes, pack};

/// Where it lies in the repository.
pub const FIRMWARE_MODEL: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../firmware-examples/typing-detector/random.electra");

/// A model for replaced-token detection with random weights: it marks some words and leaves others, without sense.
///
/// # Panics
/// When it cannot be packed.
#[must_use]
pub fn firmware_model() -> Vec<u8> {
    pack(&Sizes { vocab: 96, positions: 64, labels: None, ..Sizes::TINY }.checkpoint(3))
}
