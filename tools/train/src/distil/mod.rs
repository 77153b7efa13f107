//! Distillation: an ELECTRA classifier learns from the outputs of a larger classifier, which is an
//! ELECTRA, BERT or MPNet model.

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
