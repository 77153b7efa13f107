//! The C interface of the crate `electra-core`, for programs without an operating system. The
//! header `include/electra_core.h` is generated from this crate and documents it for callers.
//!
//! The library has no state and allocates nothing. The caller owns all memory: that of the model,
//! of the arena and of the engine itself.
#![cfg_attr(target_os = "none", no_std)]
#![allow(non_camel_case_types, reason = "the types have the names of the C interface")]

mod engine;
mod error;
#[cfg(target_os = "none")]
mod panic;
mod pointers;
mod scores;
mod text;

pub use engine::*;
pub use error::*;
pub use scores::*;
pub use text::*;

#[cfg(test)]
mod tests;
