//! Settings of a trial that `finetune` and `quantize` share.

use serde::{Deserialize, Serialize};

use crate::run::defaults;

/// Weights of the labels in the loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClassWeights {
    /// Every text has the same weight.
    #[default]
    None,
    /// Every label has the same weight, however many texts it has.
    Balanced,
}

/// Length of a trial, and its loss against the labels of the texts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TrialSettings {
    /// Largest number of updates, for texts whose epoch is too long.
    #[serde(default)]
    pub steps: Option<u64>,
    /// Texts of one forward pass.
    pub batch_size: usize,
    /// Forward passes of one update.
    #[serde(default = "defaults::accumulate")]
    pub accumulate: u64,
    /// Share of the updates until the learning rate reaches its maximum.
    #[serde(default = "warmup_share")]
    pub warmup_share: f64,
    /// Evaluations on dev without improvement after which a trial ends.
    #[serde(default = "patience")]
    pub patience: u64,
    /// Weights of the labels in the loss.
    #[serde(default)]
    pub class_weights: ClassWeights,
    /// Share of the target that is spread over all labels.
    #[serde(default)]
    pub label_smoothing: f64,
    /// Weight of the distance between the answers to a text and to its changed copies.
    #[serde(default)]
    pub consistency: f64,
}

impl TrialSettings {
    /// Returns the number of texts in an update of one process.
    pub fn texts_of_update(&self) -> usize {
        self.batch_size.saturating_mul(usize::try_from(self.accumulate).unwrap_or(usize::MAX))
    }
}

fn warmup_share() -> f64 {
    0.1
}

fn patience() -> u64 {
    4
}
