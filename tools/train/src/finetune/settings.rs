//! Settings of `finetune`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::trial_settings::TrialSettings;
use crate::data::Source;
use crate::device::Precision;
use crate::error::{Error, Result};
use crate::optimizer;
use crate::run::{Joined, Keep, MOST_STEPS, RunSettings, Settings, defaults, refuse_repeated};
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
    pub training: Joined<TrialSettings, Training>,
    /// Settings of the optimizer.
    #[serde(default)]
    pub optimizer: optimizer::Settings,
    /// Device, logging and the classifier to keep.
    #[serde(default)]
    pub run: Joined<RunSettings, KeepSettings>,
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

/// Settings of the training besides [`TrialSettings`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Training {
    /// Largest number of passes over the texts.
    pub epochs: u64,
    /// Evaluations on dev per epoch. A checkpoint is written at each.
    #[serde(default = "evaluations_per_epoch")]
    pub evaluations_per_epoch: u64,
    /// Number of the lowest layers that are frozen, together with the embeddings. 0 freezes
    /// nothing.
    #[serde(default)]
    pub freeze_layers: u64,
    /// Share of the updates, at the end of the training, over which the weights are averaged. The
    /// mean is then evaluated on dev and kept. 0 for no averaging.
    #[serde(default)]
    pub average_share: f64,
    /// Seeds, one trial each. A seed decides the initial weights of the head, the order of the
    /// texts and dropout.
    #[serde(default = "seeds")]
    pub seeds: Vec<u64>,
    /// Number format of the forward and backward passes.
    #[serde(default)]
    pub precision: Precision,
}

fn evaluations_per_epoch() -> u64 {
    2
}

fn seeds() -> Vec<u64> {
    vec![1]
}

/// Settings of a trial's result.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct KeepSettings {
    /// Classifier that a trial leaves.
    pub keep: Keep,
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

impl Settings for FinetuneSettings {
    fn check(&self, file: &Path) -> Result<()> {
        let Joined { shared, own } = &self.training;
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
            ("training.epochs", own.epochs, 1, 1 << 20),
            ("training.steps", shared.steps.unwrap_or(1), 1, MOST_STEPS),
            ("training.batch_size", shared.batch_size as u64, 1, 1 << 20),
            ("training.accumulate", shared.accumulate, 1, 1 << 20),
            ("training.evaluations_per_epoch", own.evaluations_per_epoch, 1, u64::MAX),
            ("training.patience", shared.patience, 1, u64::MAX),
            ("training.seeds", own.seeds.len() as u64, 1, u64::MAX),
            ("run.log_every", self.run.shared.log_every, 1, u64::MAX),
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
        refuse_repeated(file, "training.seeds", &own.seeds)?;
        for (field, found) in [
            ("training.warmup_share", shared.warmup_share),
            ("training.label_smoothing", shared.label_smoothing),
            ("training.average_share", own.average_share),
            ("data.dev_share", self.data.dev_share),
        ] {
            if !(0.0..1.0).contains(&found) {
                return Err(Error::field(file, field, found.to_string(), "at least 0 and below 1"));
            }
        }
        if !(0.0..=1e6).contains(&shared.consistency) {
            let found = shared.consistency.to_string();
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
