//! Pre-training: a generator replaces tokens, a discriminator tells which (Clark et al. 2020), and the masked language
//! modelling it is compared with.

mod batches;
mod command;
mod objective;
mod settings;
mod start;

pub use command::pretrain;
pub use settings::{Objective, PretrainSettings};
