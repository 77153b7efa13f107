//! Turns an ELECTRA checkpoint of the Hugging Face layout or an ONNX file into one in-memory form.
#![forbid(unsafe_code)]

pub mod checkpoint;
pub mod error;
pub mod float;
pub mod hugging_face;
pub mod model_file;
#[cfg(feature = "onnx")]
pub mod onnx;
mod quantize;
pub mod vocabulary;

pub use quantize::QuantizationError;
