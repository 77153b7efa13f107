//! ELECTRA, BERT and MPNet on libtorch: sizes, parameters, the encoder, its heads, and their
//! Hugging Face folders.

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
pub use int8::{Int8, ModelPart};
pub use parameters::{Initial, Parameter, Parameters};
pub(crate) use position_bias::PositionBias;

/// Namespace of the generator's parameters. It is needed because both encoders use the names of one
/// ELECTRA model.
pub const GENERATOR: &str = "generator/";
