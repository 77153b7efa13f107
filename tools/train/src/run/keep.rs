//! The choice of the model that a run leaves.

use serde::{Deserialize, Serialize};

/// A model during a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// The one that was best on dev, in a distillation possibly the initial one.
    #[default]
    Best,
    /// The one after the last update, whatever its metrics on dev: the mean of the weights, where
    /// they are averaged. It is the one to pass to [`crate::average`]. Its metrics on dev flatter
    /// less, because dev did not select it.
    Last,
}
