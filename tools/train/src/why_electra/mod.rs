//! The measurements behind `docs/why-electra.md`: the command `why-electra` and
//! `experiments/why-electra/run`.

mod beside;
mod chart;
mod collect;
mod plan;
mod statistics;

pub use beside::plot_sizes;
pub use collect::{Losses, Results, PretrainingResult, Seed, collect};
pub use plan::plan;
