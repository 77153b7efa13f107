//! Quantization: continues the training of a classifier in the arithmetic of the int8 runtime, and
//! reports the effect of int8 before and after.

mod command;
mod comparison;
mod objective;
mod report;
mod settings;

pub use command::quantize;
pub use comparison::{Comparison, Flips};
pub use report::{Quantized, Report, Sensitivity};
pub use settings::QuantizeSettings;
