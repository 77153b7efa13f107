//! Makes ELECTRA models on libtorch: see README.md beside this crate.
#![deny(unsafe_code)]

pub mod checkpoint;
pub mod device;
pub mod error;
pub mod model;
pub mod random;
