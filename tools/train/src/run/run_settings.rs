//! Settings of the table `run` that `finetune`, `quantize` and `distil` share.

use serde::{Deserialize, Serialize};

use crate::device::DeviceChoice;

/// Device and logging. These settings may change when a run continues.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct RunSettings {
    /// Device to compute on.
    pub device: DeviceChoice,
    /// Updates between two lines of the log.
    pub log_every: u64,
}

impl Default for RunSettings {
    fn default() -> Self {
        Self { device: DeviceChoice::Auto, log_every: 50 }
    }
}
