//! Makes ELECTRA models with libtorch; see the README.md of this crate.
#![deny(unsafe_code)]

pub mod answers;
pub mod average;
pub mod batch;
pub mod calibrate;
pub mod changes;
pub mod checkpoint;
pub mod classification;
pub mod data;
pub mod device;
pub mod distil;
pub mod distributed;
pub mod error;
pub mod evaluate;
pub mod finetune;
pub mod half_precision;
pub mod label;
pub mod losses;
pub mod memory;
pub mod metrics;
pub mod model;
pub mod onnx;
pub mod operations;
pub mod optimizer;
pub mod pretrain;
pub mod quantize;
pub mod random;
pub mod run;
pub mod startup;
pub mod texts;
pub mod walk_through;
pub mod why_electra;
