//! Reads ELECTRA checkpoints in the Hugging Face layout or in ONNX files into one in-memory form,
//! quantizes them, and writes model files.
#![forbid(unsafe_code)]

pub mod checkpoint;
pub mod error;
pub mod float;
pub mod hugging_face;
pub mod model_file;
mod notes;
#[cfg(feature = "onnx")]
pub mod onnx;
mod quantize;
mod source;
pub mod vocabulary;

pub use model_file::Packed;
pub use quantize::QuantizationError;
pub use source::{Source, is_model_file, is_onnx};
