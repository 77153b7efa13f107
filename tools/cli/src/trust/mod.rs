//! Signatures of model files, and the replacement of one model file by another.

mod key;
mod replace;

pub(crate) use key::{RequiredKey, signature_of};
pub(crate) use replace::Target;
