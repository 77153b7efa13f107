//! Quantization: a classifier trained on as the int8 runtime computes it, and what int8 does to it with and without.

mod command;
mod comparison;
mod objective;
mod report;
mod settings;

pub use command::quantize;
pub use comparison::{Comparison, Flips};
pub use report::{Quantized, Report, Sensitivity};
pub use settings::QuantizeSettings;
