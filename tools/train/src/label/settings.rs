//! Settings of `label`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::device::{DeviceChoice, Precision};
use crate::error::{Error, Result};
use crate::run::{Settings, defaults, refuse_repeated};
use crate::texts::TextSource;

/// Content of the TOML file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelSettings {
    /// Labels and texts.
    pub data: Data,
    /// Settings of the answers.
    #[serde(default)]
    pub answers: Answers,
    /// Device and precision.
    #[serde(default)]
    pub run: RunSettings,
}

/// Labels and texts.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// Names of the labels, in the order in which they are written. They include the teachers'
    /// labels.
    pub labels: Vec<String>,
    /// Length in tokens to which texts, or their parts, are cut.
    #[serde(default = "defaults::max_length")]
    pub max_length: usize,
    /// Texts to label: of each source the share that the first epoch of a training would use.
    /// Changed copies have the answers of their texts and cost nothing.
    pub train: Vec<TextSource>,
}

/// Settings of the answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Answers {
    /// Temperature by which the teachers' logits are divided. The student's training reverses it.
    /// It affects the mean of several teachers, and the precision with which small probabilities
    /// are stored.
    pub temperature: f64,
    /// Seed of the order, and of the share of a source that is labelled.
    pub seed: u64,
}

impl Default for Answers {
    fn default() -> Self {
        Self { temperature: 1.0, seed: 1 }
    }
}

/// Device and precision.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunSettings {
    /// Device to compute on.
    pub device: DeviceChoice,
    /// Largest number of tokens in a forward pass, padding included.
    pub batch_tokens: usize,
    /// Number format of the forward pass.
    pub precision: Precision,
}

impl Default for RunSettings {
    fn default() -> Self {
        Self { device: DeviceChoice::Auto, batch_tokens: defaults::batch_tokens(), precision: Precision::F32 }
    }
}

impl Settings for LabelSettings {
    fn check(&self, file: &Path) -> Result<()> {
        for (field, found, least) in [
            ("data.labels", self.data.labels.len(), 2),
            ("data.train", self.data.train.len(), 1),
            ("data.max_length", self.data.max_length, 3),
            ("run.batch_tokens", self.run.batch_tokens, self.data.max_length),
        ] {
            if found < least {
                return Err(Error::field(file, field, found.to_string(), format!("at least {least}")));
            }
        }
        let temperature = self.answers.temperature;
        if !(0.1..=100.0).contains(&temperature) {
            return Err(Error::field(file, "answers.temperature", temperature.to_string(), "0.1 to 100"));
        }
        refuse_repeated(file, "data.labels", &self.data.labels)?;
        self.data.train.iter().try_for_each(|source| source.check(false, file))
    }

    fn paths(&mut self) -> Vec<&mut PathBuf> {
        self.data.train.iter_mut().flat_map(TextSource::paths).collect()
    }
}
