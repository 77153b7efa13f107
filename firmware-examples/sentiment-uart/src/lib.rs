//! The part of the example that needs no board: a label and a score out of logits.
#![no_std]
#![forbid(unsafe_code)]

pub mod verdict;
