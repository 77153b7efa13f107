//! Settings of `quantize`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::device::{DeviceChoice, Precision};
use crate::error::{Error, Result};
use crate::finetune::{self, ClassWeights, Data, FinetuneSettings};
use crate::optimizer;
use crate::run::{Keep, Settings};

/// Content of the TOML file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuantizeSettings {
    /// Classifier to quantize, and its teacher.
    pub model: Model,
    /// Labelled texts.
    pub data: Data,
    /// Settings of the training.
    pub training: Training,
    /// Settings of the optimizer. There is no default here, because the learning rate of
    /// pre-training would undo the fine-tuning.
    pub optimizer: optimizer::Settings,
    /// Device, logging and report.
    #[serde(default)]
    pub run: RunSettings,
}

/// Classifier to quantize, and its teacher.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// ELECTRA classifier in the Hugging Face layout.
    pub folder: PathBuf,
    /// Classifier with the same labels and pieces whose probabilities are learnt; by default
    /// `folder` itself, in f32.
    #[serde(default)]
    pub teacher: Option<PathBuf>,
}

/// Settings of the training. The precision is always f32: bf16 has eight significant bits, too few
/// for sums of int8 products.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// Largest number of passes over the texts.
    #[serde(default = "defaults::epochs")]
    pub epochs: u64,
    /// Largest number of updates, for texts whose epoch is too long.
    #[serde(default)]
    pub steps: Option<u64>,
    /// Texts of one forward pass.
    pub batch_size: usize,
    /// Forward passes of one update.
    #[serde(default = "defaults::accumulate")]
    pub accumulate: u64,
    /// Share of the updates until the learning rate reaches its maximum.
    #[serde(default = "defaults::warmup_share")]
    pub warmup_share: f64,
    /// Evaluations on dev per epoch, or within `steps` if that is less. A checkpoint is written at
    /// each.
    #[serde(default = "defaults::evaluations_per_epoch")]
    pub evaluations_per_epoch: u64,
    /// Evaluations on dev without improvement after which the training ends.
    #[serde(default = "defaults::patience")]
    pub patience: u64,
    /// Weight of the teacher's probabilities in the loss. The rest is the weight of the texts'
    /// labels.
    #[serde(default = "defaults::teacher_weight")]
    pub teacher_weight: f64,
    /// Weights of the texts' labels in the loss.
    #[serde(default)]
    pub class_weights: ClassWeights,
    /// Share of a text's label that is spread over all labels.
    #[serde(default)]
    pub label_smoothing: f64,
    /// Weight of the consistency, see [`finetune::Training::consistency`].
    #[serde(default)]
    pub consistency: f64,
    /// Seed of the order of the texts.
    #[serde(default = "defaults::seed")]
    pub seed: u64,
}

/// Device, logging and report. These settings may change when a run continues.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunSettings {
    /// Device to compute on.
    pub device: DeviceChoice,
    /// Updates between two lines of the log.
    pub log_every: u64,
    /// Number of texts of dev, evenly spread, on which the sensitivity of each part is measured; 0
    /// for no measurement.
    pub sensitivity_texts: usize,
}

impl Default for RunSettings {
    fn default() -> Self {
        Self { device: DeviceChoice::Auto, log_every: 50, sensitivity_texts: 1000 }
    }
}

mod defaults {
    pub(super) fn epochs() -> u64 {
        1
    }
    pub(super) fn accumulate() -> u64 {
        1
    }
    pub(super) fn warmup_share() -> f64 {
        0.1
    }
    pub(super) fn evaluations_per_epoch() -> u64 {
        4
    }
    pub(super) fn patience() -> u64 {
        4
    }
    pub(super) fn teacher_weight() -> f64 {
        1.0
    }
    pub(super) fn seed() -> u64 {
        1
    }
}

impl QuantizeSettings {
    /// Returns the settings of the trial that does the training.
    pub(super) fn of_trial(&self) -> FinetuneSettings {
        let training = &self.training;
        FinetuneSettings {
            model: finetune::Model { folder: self.model.folder.clone() },
            data: self.data.clone(),
            training: finetune::Training {
                epochs: training.epochs,
                steps: training.steps,
                batch_size: training.batch_size,
                accumulate: training.accumulate,
                warmup_share: training.warmup_share,
                evaluations_per_epoch: training.evaluations_per_epoch,
                patience: training.patience,
                freeze_layers: 0,
                class_weights: training.class_weights,
                label_smoothing: training.label_smoothing,
                consistency: training.consistency,
                average_share: 0.0,
                seeds: vec![training.seed],
                precision: Precision::F32,
            },
            optimizer: self.optimizer.clone(),
            run: finetune::RunSettings {
                device: self.run.device,
                log_every: self.run.log_every,
                keep: Keep::Best,
            },
        }
    }
}

impl Settings for QuantizeSettings {
    fn check(&self, file: &Path) -> Result<()> {
        let weight = self.training.teacher_weight;
        if !(0.0..=1.0).contains(&weight) {
            return Err(Error::field(file, "training.teacher_weight", weight.to_string(), "0 to 1"));
        }
        let training = &self.training;
        let (balanced, smoothed) =
            (training.class_weights != ClassWeights::None, training.label_smoothing != 0.0);
        if weight == 1.0 && (balanced || smoothed) {
            let (field, found, none) = match balanced {
                true => ("training.class_weights", "balanced".to_owned(), "none"),
                false => ("training.label_smoothing", training.label_smoothing.to_string(), "0"),
            };
            let expected =
                format!("{none}, or a training.teacher_weight below 1: at 1 labels have no effect");
            return Err(Error::field(file, field, found, expected));
        }
        self.of_trial().check(file)
    }

    fn paths(&mut self) -> Vec<&mut PathBuf> {
        self.data.paths().chain([&mut self.model.folder]).chain(&mut self.model.teacher).collect()
    }
}
