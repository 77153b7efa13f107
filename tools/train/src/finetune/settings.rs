//! Settings of `finetune`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::data::Source;
use crate::device::{DeviceChoice, Precision};
use crate::error::{Error, Result};
use crate::optimizer;
use crate::run::{Keep, MOST_STEPS, Settings, refuse_repeated};
use crate::texts::TextSource;

/// Content of the TOML file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FinetuneSettings {
    /// Model to begin with.
    pub model: Model,
    /// Labelled texts.
    pub data: Data,
    /// Settings of the training.
    pub training: Training,
    /// Settings of the optimizer.
    #[serde(default)]
    pub optimizer: optimizer::Settings,
    /// Device and logging.
    #[serde(default)]
    pub run: RunSettings,
}

/// Model to begin with.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// ELECTRA, BERT or MPNet folder in the Hugging Face layout.
    pub folder: PathBuf,
}

/// Largest number of different values in a column that is taken for labels.
const MOST_FOUND: usize = 1000;

/// Labelled texts.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// Names of the labels, in the order of the logits. In `finetune` the default is the labels
    /// that occur in `train`, sorted.
    #[serde(default)]
    pub labels: Vec<String>,
    /// Length in tokens to which texts are cut.
    #[serde(default = "defaults::max_length")]
    pub max_length: usize,
    /// Texts to learn from.
    pub train: Vec<TextSource>,
    /// Texts that decide when to stop and which seed is best. Never a test set.
    #[serde(default)]
    pub dev: Vec<Source>,
    /// Share of the texts of `train` that is kept back and used instead of `dev`. The texts are
    /// chosen by their content.
    #[serde(default)]
    pub dev_share: f64,
}

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

/// Settings of the training.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// Largest number of passes over the texts.
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
    /// Evaluations on dev per epoch. A checkpoint is written at each.
    #[serde(default = "defaults::evaluations_per_epoch")]
    pub evaluations_per_epoch: u64,
    /// Evaluations on dev without improvement after which a trial ends.
    #[serde(default = "defaults::patience")]
    pub patience: u64,
    /// Number of the lowest layers that are frozen, together with the embeddings. 0 freezes
    /// nothing.
    #[serde(default)]
    pub freeze_layers: u64,
    /// Weights of the labels in the loss.
    #[serde(default)]
    pub class_weights: ClassWeights,
    /// Share of the target that is spread over all labels.
    #[serde(default)]
    pub label_smoothing: f64,
    /// Weight of the distance between the answers to a text and to its changed copies.
    #[serde(default)]
    pub consistency: f64,
    /// Share of the updates, at the end of the training, over which the weights are averaged. The
    /// mean is then evaluated on dev and kept. 0 for no averaging.
    #[serde(default)]
    pub average_share: f64,
    /// Seeds, one trial each. A seed decides the initial weights of the head, the order of the
    /// texts and dropout.
    #[serde(default = "defaults::seeds")]
    pub seeds: Vec<u64>,
    /// Number format of the forward and backward passes.
    #[serde(default)]
    pub precision: Precision,
}

impl Data {
    /// Sets the labels to those that occur in `train` if none are named.
    pub fn find_labels(&mut self) -> Result<()> {
        if !self.labels.is_empty() {
            return Ok(());
        }
        let mut names = BTreeSet::new();
        for source in &self.train {
            names.extend(source.names()?);
        }
        if !(2..=MOST_FOUND).contains(&names.len()) {
            let found = format!("{} different values in the labels' columns", names.len());
            let expected = format!("2 to {MOST_FOUND}, or data.labels in the settings");
            return Err(Error::field(&self.train[0].path, "labels", found, expected));
        }
        self.labels = names.into_iter().collect();
        Ok(())
    }

    /// Returns the paths in the data, so that the caller can resolve them against the settings'
    /// folder.
    pub fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let train = self.train.iter_mut().flat_map(TextSource::paths);
        train.chain(self.dev.iter_mut().flat_map(Source::paths))
    }
}

impl Training {
    /// Returns the number of texts in an update of one process.
    pub fn texts_of_update(&self) -> usize {
        self.batch_size.saturating_mul(usize::try_from(self.accumulate).unwrap_or(usize::MAX))
    }
}

/// Device and logging. These settings may change when a run continues.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunSettings {
    /// Device to compute on.
    pub device: DeviceChoice,
    /// Updates between two lines of the log.
    pub log_every: u64,
    /// Classifier that a trial leaves.
    pub keep: Keep,
}

impl Default for RunSettings {
    fn default() -> Self {
        Self { device: DeviceChoice::Auto, log_every: 50, keep: Keep::Best }
    }
}

mod defaults {
    pub(super) fn max_length() -> usize {
        128
    }
    pub(super) fn accumulate() -> u64 {
        1
    }
    pub(super) fn warmup_share() -> f64 {
        0.1
    }
    pub(super) fn evaluations_per_epoch() -> u64 {
        2
    }
    pub(super) fn patience() -> u64 {
        4
    }
    pub(super) fn seeds() -> Vec<u64> {
        vec![1]
    }
}

impl Settings for FinetuneSettings {
    fn check(&self, file: &Path) -> Result<()> {
        let training = &self.training;
        self.optimizer.check(file)?;
        let counts = [
            (
                "data.labels",
                if self.data.labels.is_empty() { 2 } else { self.data.labels.len() as u64 },
                2,
                u64::MAX,
            ),
            ("data.train", self.data.train.len() as u64, 1, u64::MAX),
            ("data.max_length", self.data.max_length as u64, 3, u64::MAX),
            ("training.epochs", training.epochs, 1, 1 << 20),
            ("training.steps", training.steps.unwrap_or(1), 1, MOST_STEPS),
            ("training.batch_size", training.batch_size as u64, 1, 1 << 20),
            ("training.accumulate", training.accumulate, 1, 1 << 20),
            ("training.evaluations_per_epoch", training.evaluations_per_epoch, 1, u64::MAX),
            ("training.patience", training.patience, 1, u64::MAX),
            ("training.seeds", training.seeds.len() as u64, 1, u64::MAX),
            ("run.log_every", self.run.log_every, 1, u64::MAX),
        ];
        for (field, found, least, most) in counts {
            if found < least {
                return Err(Error::field(file, field, found.to_string(), format!("at least {least}")));
            }
            if found > most {
                return Err(Error::field(file, field, found.to_string(), format!("at most {most}")));
            }
        }
        refuse_repeated(file, "data.labels", &self.data.labels)?;
        refuse_repeated(file, "training.seeds", &training.seeds)?;
        for (field, found) in [
            ("training.warmup_share", training.warmup_share),
            ("training.label_smoothing", training.label_smoothing),
            ("training.average_share", training.average_share),
            ("data.dev_share", self.data.dev_share),
        ] {
            if !(0.0..1.0).contains(&found) {
                return Err(Error::field(file, field, found.to_string(), "at least 0 and below 1"));
            }
        }
        if !(0.0..=1e6).contains(&training.consistency) {
            let found = training.consistency.to_string();
            return Err(Error::field(file, "training.consistency", found, "0 to 1e6"));
        }
        if self.data.dev.is_empty() == (self.data.dev_share == 0.0) {
            let found = if self.data.dev.is_empty() { "neither" } else { "both" };
            let expected = "files to choose by, or a share of data.train that is kept back";
            return Err(Error::field(file, "data.dev and data.dev_share", found, expected));
        }
        for source in &self.data.train {
            source.check(true, file)?;
        }
        Ok(())
    }

    fn paths(&mut self) -> Vec<&mut PathBuf> {
        self.data.paths().chain([&mut self.model.folder]).collect()
    }
}
