//! Distillation: an ELECTRA classifier learns from what a larger one, ELECTRA, BERT or MPNet, computes.

mod batches;
mod command;
mod losses;
mod settings;
mod start;
mod student;
mod teachers;

pub use command::{Summary, distil};
pub use settings::{DistilSettings, Start};
pub use teachers::Teachers;
