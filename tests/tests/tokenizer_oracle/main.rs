//! The tokenizer against the `tokenizers` crate: ids and byte offsets are to be equal, whatever the text.
#![forbid(unsafe_code)]

mod code_points;
mod corpora;
mod generated;
mod hostile;
mod oracle;
mod texts;
