//! Errors that stop a program.

use core::fmt;

use electra_core::{ModelError, RunError};

/// Error that stops a program.
#[derive(Debug)]
pub enum Stop {
    /// The model in memory cannot be used.
    Model(ModelError),
    /// The model has another head than the expected one, which is named here.
    Head(&'static str),
    /// The arena is too small, a logit is not finite, or the model changed while the engine used
    /// it.
    Run(RunError),
    /// The logits lead to no answer.
    Logits,
    /// A setting of the program is wrong, which is named here.
    Setting(&'static str),
}

impl Stop {
    /// Returns the exit status: 2 for the model or a setting, 3 for a run.
    #[must_use]
    pub fn status(&self) -> i32 {
        match self {
            Self::Model(_) | Self::Head(_) | Self::Setting(_) => 2,
            Self::Run(_) | Self::Logits => 3,
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Model(error) => write!(f, "model: {error}"),
            Self::Head(expected) => write!(f, "model: no {expected}"),
            Self::Run(error) => write!(f, "{error}"),
            Self::Setting(name) => write!(f, "setting: the {name} cannot be used"),
            Self::Logits => f.write_str("logits: not finite, or not as many as labels or tokens"),
        }
    }
}

impl core::error::Error for Stop {}
