//! Settings of the table `training` that `pretrain` and `distil` share.

use serde::{Deserialize, Serialize};

use super::defaults;
use crate::device::Precision;

/// Number of updates, passes per update, and precision.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UpdateSettings {
    /// Number of updates.
    pub steps: u64,
    /// Forward passes of one update.
    #[serde(default = "defaults::accumulate")]
    pub accumulate: u64,
    /// Number format of the forward and backward passes.
    #[serde(default)]
    pub precision: Precision,
}
