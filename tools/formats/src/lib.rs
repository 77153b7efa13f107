//! Readers of input files. The packer, the command and the trainer share them. All three therefore
//! accept the same files and refuse others with the same message.
//!
//! - [`rows`]: texts, with or without labels, from `.txt`, `.csv`, `.tsv` and `.jsonl`;
//! - [`labels`]: the label for a value of a label column;
//! - [`tokenizer`]: the WordPiece vocabulary of a Hugging Face folder and its tokenizer settings;
//! - [`json`] and [`mod@file`]: helpers of these modules and of the packer's own readers.
#![forbid(unsafe_code)]

pub mod error;
pub mod file;
pub mod json;
pub mod labels;
pub mod rows;
pub mod tokenizer;

pub use error::Error;
