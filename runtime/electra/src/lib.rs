//! Text classification on the device: an int8 ELECTRA in one fixed memory arena.
#![deny(unsafe_code)]

mod arena;
mod classifier;
mod default_model;
mod detector;
#[cfg(feature = "embed-model")]
mod embedded;
mod engine;
mod error;
mod model_file;
mod windows;

pub use classifier::{Classification, Classifier, ClassifierOptions, LabelScore};
pub use detector::{Detection, Detector, TokenVerdict};
#[cfg(feature = "tract")]
pub use engine::OPERATORS;
pub use engine::{Engine, EngineKind, EngineOptions};
pub use error::Error;
pub use model_file::ModelFile;
