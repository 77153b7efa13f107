//! Pre-training: a generator replaces tokens and a discriminator detects the replaced ones (Clark
//! et al. 2020). Masked language modelling is there for comparison.

mod batches;
mod command;
mod objective;
mod settings;
mod start;

pub use command::pretrain;
pub use settings::{Objective, PretrainSettings};
