//! Readers of files that somebody else wrote, shared by the packer, the command and the trainer, so
//! that all of them read the same thing or refuse it in the same words.
//!
//! - [`rows`]: texts, with labels or without, from `.txt`, `.csv`, `.tsv` and `.jsonl`;
//! - [`labels`]: which label a value of a column stands for;
//! - [`tokenizer`]: the WordPiece vocabulary of a Hugging Face folder, and its tokenizer's settings;
//! - [`json`] and [`file`]: what these and the packer's own readers are made of.
#![forbid(unsafe_code)]

pub mod error;
pub mod file;
pub mod json;
pub mod labels;
pub mod rows;
pub mod tokenizer;

pub use error::Error;
