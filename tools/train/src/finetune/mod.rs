//! Fine-tuning: trains a classifier per seed from a pre-trained encoder and labelled texts.

mod batches;
mod command;
mod objective;
mod settings;
mod trial;

pub use command::{Summary, finetune, read_data};
pub use objective::{HardLabels, Objective};
pub use settings::{ClassWeights, Data, FinetuneSettings, Model, RunSettings, Training};
pub use trial::{MODEL, Outcome, Task, run_trial};
