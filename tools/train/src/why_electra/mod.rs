//! The measurements behind `docs/why-electra.md`: the command `why-electra` and
//! `experiments/why-electra/run`.

mod chart;
mod collect;
mod plan;
mod size_chart;
mod statistics;

pub use collect::{Losses, PretrainingResult, Results, Seed, collect};
pub use plan::plan;
pub use size_chart::plot_sizes;
