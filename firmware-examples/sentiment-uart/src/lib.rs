//! The part of the example that needs no board: turns logits into a label and a score.
#![no_std]
#![forbid(unsafe_code)]

pub mod verdict;
