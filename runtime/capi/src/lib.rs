//! The C interface of the crate `electra`. The header `include/electra.h` is generated from this
//! crate and documents it for callers.
//!
//! Every function that can fail returns an [`electra_status`]; [`electra_last_error`] returns the
//! message. No panic crosses the border.
#![allow(non_camel_case_types, reason = "the types have the names of the C interface")]
#![allow(missing_debug_implementations, reason = "the types are opaque to callers")]

mod classifier;
mod detector;
mod model;
mod options;
mod status;
mod text;

pub use classifier::*;
pub use detector::*;
pub use model::*;
pub use options::*;
pub use status::*;

#[cfg(test)]
mod tests;
