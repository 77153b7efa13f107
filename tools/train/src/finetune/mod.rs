//! Fine-tuning: a classifier from a pre-trained encoder and labelled texts, with several seeds.

mod batches;
mod command;
mod settings;
mod trial;

pub use command::{Summary, finetune};
pub use settings::{ClassWeights, FinetuneSettings};
