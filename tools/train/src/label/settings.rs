//! Settings of `label`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::device::{DeviceChoice, Precision};
use crate::error::{Error, Result};
use crate::run::{Settings, refuse_repeated};
use crate::texts::TextSource;

/// The TOML file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelSettings {
    /// Texts.
    pub data: Data,
    /// What is asked.
    #[serde(default)]
    pub answers: Answers,
    /// Where and how.
    #[serde(default)]
    pub run: Run,
}

/// Texts.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// Names of the labels, the teachers' or more, in the order in which they are written.
    pub labels: Vec<String>,
    /// Texts, or their parts, are cut to so many tokens.
    #[serde(default = "max_length")]
    pub max_length: usize,
    /// What is labelled: of each source the share that the first epoch of a training would have. Changed copies have the
    /// answers of their texts and cost nothing.
    pub train: Vec<TextSource>,
}

fn max_length() -> usize {
    128
}

/// What is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Answers {
    /// Divides the teachers' logits. The student's training undoes it; it matters for the mean of several teachers, and for
    /// how exactly small probabilities are kept.
    pub temperature: f64,
    /// Decides the order and which share of a source is labelled.
    pub seed: u64,
}

impl Default for Answers {
    fn default() -> Self {
        Self { temperature: 1.0, seed: 1 }
    }
}

/// Where and how.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Run {
    /// Where to compute.
    pub device: DeviceChoice,
    /// Tokens of a forward pass, padding included.
    pub batch_tokens: usize,
    /// Kind of the numbers that compute.
    pub precision: Precision,
}

impl Default for Run {
    fn default() -> Self {
        Self { device: DeviceChoice::Auto, batch_tokens: 4096, precision: Precision::F32 }
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
