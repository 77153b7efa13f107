//! Readers of input files. The packer, the command, the trainer and the Python package share them.
//! All of them therefore accept the same files and refuse others with the same message.
//!
//! - [`rows`]: texts, with or without labels, from `.txt`, `.csv`, `.tsv` and `.jsonl`;
//! - [`labels`]: the label for a value of a label column;
//! - [`tokenizer`]: the WordPiece vocabulary of a Hugging Face folder and its tokenizer settings;
//! - [`output_file`]: the file that a command writes;
//! - [`json`] and [`mod@file`]: helpers of these modules and of the packer's own readers.
#![forbid(unsafe_code)]

pub mod error;
pub mod file;
pub mod json;
pub mod labels;
pub mod output_file;
pub mod rows;
pub mod tokenizer;

pub use error::Error;
