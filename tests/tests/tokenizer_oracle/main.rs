//! Compares the tokenizer with the crate `tokenizers`. Ids and byte offsets must be equal for every
//! text.
#![forbid(unsafe_code)]

mod code_points;
mod corpora;
mod generated;
mod hostile;
mod oracle;
mod texts;
