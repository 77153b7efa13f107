//! Fine-tuning: trains a classifier per seed from a pre-trained encoder and labelled texts.

mod batches;
mod command;
mod objective;
mod settings;
mod trial;
mod trial_settings;

pub use command::{Summary, finetune, read_data};
pub use objective::{HardLabels, Objective};
pub use settings::{Data, FinetuneSettings, KeepSettings, Model, Training};
pub use trial::{MODEL, Outcome, Task, run_trial};
pub use trial_settings::{ClassWeights, TrialSettings};
