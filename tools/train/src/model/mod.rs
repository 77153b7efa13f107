//! ELECTRA, BERT and MPNet on libtorch: sizes, parameters, the encoder, its heads, and the Hugging Face folder they live in.

pub mod config;
mod encoder;
mod family;
pub mod folder;
mod heads;
mod int8;
mod parameters;
mod position_bias;

pub use config::Config;
pub use encoder::{Encoder, Mode};
pub use family::{AttentionNames, Family, SpecialTokens};
pub use heads::{Classifier, Discriminator, MaskedLanguageModel, output_name};
pub use int8::{Int8, Part};
pub use parameters::{Initial, Parameter, Parameters};
pub(crate) use position_bias::PositionBias;

/// Puts a parameter of the generator into a namespace of its own: both encoders use the names of one ELECTRA model.
pub const GENERATOR: &str = "generator/";
