//! Settings of `quantize`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::device::Precision;
use crate::error::{Error, Result};
use crate::finetune::{self, ClassWeights, Data, FinetuneSettings, KeepSettings, TrialSettings};
use crate::optimizer;
use crate::run::{Joined, Keep, RunSettings, Settings, defaults};

/// Content of the TOML file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuantizeSettings {
    /// Classifier to quantize, and its teacher.
    pub model: Model,
    /// Labelled texts.
    pub data: Data,
    /// Settings of the training.
    pub training: Joined<TrialSettings, Training>,
    /// Settings of the optimizer. There is no default here, because the learning rate of
    /// pre-training would undo the fine-tuning.
    pub optimizer: optimizer::Settings,
    /// Device, logging and report.
    #[serde(default)]
    pub run: Joined<RunSettings, ReportSettings>,
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

/// Settings of the training besides [`TrialSettings`]. The precision is always f32: bf16 has eight
/// significant bits, too few for sums of int8 products.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Training {
    /// Largest number of passes over the texts.
    #[serde(default = "epochs")]
    pub epochs: u64,
    /// Evaluations on dev per epoch, or within `steps` if that is less. A checkpoint is written at
    /// each.
    #[serde(default = "evaluations_per_epoch")]
    pub evaluations_per_epoch: u64,
    /// Weight of the teacher's probabilities in the loss. The rest is the weight of the texts'
    /// labels.
    #[serde(default = "teacher_weight")]
    pub teacher_weight: f64,
    /// Seed of the order of the texts.
    #[serde(default = "defaults::seed")]
    pub seed: u64,
}

fn epochs() -> u64 {
    1
}

fn evaluations_per_epoch() -> u64 {
    4
}

fn teacher_weight() -> f64 {
    1.0
}

/// Settings of the report.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct ReportSettings {
    /// Number of texts of dev, evenly spread, on which the sensitivity of each part is measured; 0
    /// for no measurement.
    pub sensitivity_texts: usize,
}

impl Default for ReportSettings {
    fn default() -> Self {
        Self { sensitivity_texts: 1000 }
    }
}

impl QuantizeSettings {
    /// Returns the settings of the trial that does the training.
    pub(super) fn of_trial(&self) -> FinetuneSettings {
        let Joined { shared, own } = &self.training;
        FinetuneSettings {
            model: finetune::Model { folder: self.model.folder.clone() },
            data: self.data.clone(),
            training: Joined {
                shared: shared.clone(),
                own: finetune::Training {
                    epochs: own.epochs,
                    evaluations_per_epoch: own.evaluations_per_epoch,
                    freeze_layers: 0,
                    average_share: 0.0,
                    seeds: vec![own.seed],
                    precision: Precision::F32,
                },
            },
            optimizer: self.optimizer.clone(),
            run: Joined { shared: self.run.shared.clone(), own: KeepSettings { keep: Keep::Best } },
        }
    }
}

impl Settings for QuantizeSettings {
    fn check(&self, file: &Path) -> Result<()> {
        let Joined { shared, own } = &self.training;
        let weight = own.teacher_weight;
        if !(0.0..=1.0).contains(&weight) {
            return Err(Error::field(file, "training.teacher_weight", weight.to_string(), "0 to 1"));
        }
        let (balanced, smoothed) =
            (shared.class_weights != ClassWeights::None, shared.label_smoothing != 0.0);
        if weight == 1.0 && (balanced || smoothed) {
            let (field, found, none) = match balanced {
                true => ("training.class_weights", "balanced".to_owned(), "none"),
                false => ("training.label_smoothing", shared.label_smoothing.to_string(), "0"),
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
