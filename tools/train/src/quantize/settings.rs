//! Settings of `quantize`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::device::{DeviceChoice, Precision};
use crate::error::{Error, Result};
use crate::finetune::{self, ClassWeights, Data, FinetuneSettings};
use crate::optimizer;
use crate::run::Settings;

/// The TOML file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuantizeSettings {
    /// What is quantized, and what it is to stay near.
    pub model: Model,
    /// Labelled texts.
    pub data: Data,
    /// For how long, and how.
    pub training: Training,
    /// The optimizer. It has no default here: pre-training's rate would undo the fine-tuning.
    pub optimizer: optimizer::Settings,
    /// Where and how often.
    #[serde(default)]
    pub run: Run,
}

/// What is quantized, and what it is to stay near.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// An ELECTRA classifier of the Hugging Face layout.
    pub folder: PathBuf,
    /// A classifier with the same labels and pieces whose probabilities are learnt; `folder` itself, in f32, by default.
    #[serde(default)]
    pub teacher: Option<PathBuf>,
}

/// For how long, and how. There is no precision to choose: bf16 has eight significant bits, too few for sums of int8
/// products.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// Passes over the texts, at most.
    #[serde(default = "defaults::epochs")]
    pub epochs: u64,
    /// Updates, at most, where an epoch is too long.
    #[serde(default)]
    pub steps: Option<u64>,
    /// Texts of one forward pass.
    pub batch_size: usize,
    /// Forward passes of one update.
    #[serde(default = "defaults::accumulate")]
    pub accumulate: u64,
    /// Share of the updates until the learning rate is at its largest.
    #[serde(default = "defaults::warmup_share")]
    pub warmup_share: f64,
    /// Looks at dev an epoch, or in `steps` where that is less; a checkpoint is written at each.
    #[serde(default = "defaults::evaluations_per_epoch")]
    pub evaluations_per_epoch: u64,
    /// Looks at dev without improvement after which the training ends.
    #[serde(default = "defaults::patience")]
    pub patience: u64,
    /// Share of the teacher's probabilities in the loss; the rest is that of the texts' labels.
    #[serde(default = "defaults::teacher_weight")]
    pub teacher_weight: f64,
    /// How the texts' labels weigh.
    #[serde(default)]
    pub class_weights: ClassWeights,
    /// Share of the texts' labels that is spread over all labels.
    #[serde(default)]
    pub label_smoothing: f64,
    /// See [`finetune::Training::consistency`].
    #[serde(default)]
    pub consistency: f64,
    /// Decides the order of the texts.
    #[serde(default = "defaults::seed")]
    pub seed: u64,
}

/// Where and how often; may change when a run goes on.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Run {
    /// Where to compute.
    pub device: DeviceChoice,
    /// Updates between two lines of the log.
    pub log_every: u64,
    /// Texts of dev, evenly spread, on which the sensitivity of each part is measured; 0 for no such measurement.
    pub sensitivity_texts: usize,
}

impl Default for Run {
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
    /// The same as settings of the trial that does the training.
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
            run: finetune::Run { device: self.run.device, log_every: self.run.log_every },
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
                format!("{none}, or a training.teacher_weight below 1: at 1 no label is learnt from");
            return Err(Error::field(file, field, found, expected));
        }
        self.of_trial().check(file)
    }

    fn paths(&mut self) -> Vec<&mut PathBuf> {
        self.data.paths().chain([&mut self.model.folder]).chain(&mut self.model.teacher).collect()
    }
}
