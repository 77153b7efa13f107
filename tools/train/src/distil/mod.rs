//! Distillation: an ELECTRA classifier learns from what a larger one, ELECTRA or BERT, computes.

mod batches;
mod command;
mod losses;
mod settings;
mod start;
mod teachers;
mod texts;

pub use command::{Summary, distil};
pub use settings::{DistilSettings, Start};
