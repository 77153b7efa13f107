//! Settings of `pretrain`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::device::DeviceChoice;
use crate::error::{Error, Result};
use crate::model::{Config, Family};
use crate::optimizer;
use crate::run::{Joined, MOST_STEPS, Settings, UpdateSettings};

/// Content of the TOML file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PretrainSettings {
    /// Texts and vocabulary.
    pub data: Data,
    /// Sizes of the model; ELECTRA-Small's by default.
    #[serde(default)]
    pub model: Config,
    /// Weights to begin with, instead of random ones.
    #[serde(default)]
    pub start: Start,
    /// Sizes of the generator; by default a quarter of the model's widths.
    #[serde(default)]
    pub generator: Generator,
    /// Objective and settings of the training.
    pub training: Joined<UpdateSettings, Training>,
    /// Settings of the optimizer.
    #[serde(default)]
    pub optimizer: optimizer::Settings,
    /// Device, logging, validation and checkpoints.
    #[serde(default)]
    pub run: RunSettings,
}

/// Texts and vocabulary.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// `.txt` or `.zst` files: one paragraph per line, an empty line between documents.
    pub texts: Vec<PathBuf>,
    /// The vocabulary, a `vocab.txt`.
    pub vocabulary: PathBuf,
    /// Folder of the cache of ids.
    pub cache: PathBuf,
    /// Tokens of an input, with `[CLS]` and `[SEP]`.
    #[serde(default = "defaults::sequence_length")]
    pub sequence_length: usize,
    /// Number of inputs at the end of the texts that are held out for validation.
    #[serde(default = "defaults::validation")]
    pub validation: usize,
}

/// Weights to begin with.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Start {
    /// ELECTRA folder with the sizes of `[model]`. Its head is used if it is the head of the
    /// objective.
    pub encoder: Option<PathBuf>,
    /// ELECTRA folder with the generator's widths and at least as many layers, of which the
    /// generator takes the first. Its head is used if it predicts masked tokens. Its embeddings are
    /// not used, because the generator has the model's.
    pub generator: Option<PathBuf>,
}

/// Sizes of the generator; everything else is the model's.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Generator {
    /// Width of the encoder.
    pub hidden_size: Option<i64>,
    /// Encoder layers.
    pub num_hidden_layers: Option<i64>,
    /// Attention heads per layer.
    pub num_attention_heads: Option<i64>,
    /// Width of the feed-forward blocks.
    pub intermediate_size: Option<i64>,
}

/// Objective of the training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Objective {
    /// Replaced-token detection at every token.
    #[default]
    Rtd,
    /// Replaced-token detection, with the loss at the masked positions only.
    #[serde(rename = "rtd-15")]
    Rtd15,
    /// Masked language modelling by the model itself; there is no generator.
    Mlm,
}

/// Objective and settings of the training besides [`UpdateSettings`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Training {
    /// Objective of the training.
    #[serde(default)]
    pub objective: Objective,
    /// Updates until the learning rate reaches its maximum.
    pub warmup_steps: u64,
    /// Inputs of one forward pass.
    pub batch_size: usize,
    /// Share of the tokens that are masked.
    #[serde(default = "defaults::masked_share")]
    pub masked_share: f64,
    /// Weight of the discriminator's loss, relative to the generator's.
    #[serde(default = "defaults::discriminator_weight")]
    pub discriminator_weight: f64,
    /// Seed of all random numbers.
    #[serde(default)]
    pub seed: u64,
}

/// Device, logging, validation and checkpoints. These settings may change when a run continues. The
/// default of `log_every` is not that of [`crate::run::RunSettings`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunSettings {
    /// Device to compute on.
    pub device: DeviceChoice,
    /// Updates between two lines of the log.
    pub log_every: u64,
    /// Updates between two evaluations on the held-out inputs.
    pub validate_every: u64,
    /// Updates between two checkpoints.
    pub checkpoint_every: u64,
}

impl Default for RunSettings {
    fn default() -> Self {
        Self { device: DeviceChoice::Auto, log_every: 20, validate_every: 1000, checkpoint_every: 500 }
    }
}

mod defaults {
    pub(super) fn sequence_length() -> usize {
        128
    }
    pub(super) fn validation() -> usize {
        256
    }
    pub(super) fn masked_share() -> f64 {
        0.15
    }
    pub(super) fn discriminator_weight() -> f64 {
        50.0
    }
}

impl PretrainSettings {
    /// Returns the sizes of the generator. By default they are a quarter of the model's widths, as
    /// for ELECTRA-Small in the paper, with heads of the same width.
    pub fn generator(&self) -> Config {
        let quarter = |size: i64| (size / 4).max(1);
        let wanted = &self.generator;
        Config {
            hidden_size: wanted.hidden_size.unwrap_or(quarter(self.model.hidden_size)),
            num_hidden_layers: wanted.num_hidden_layers.unwrap_or(self.model.num_hidden_layers),
            num_attention_heads: wanted
                .num_attention_heads
                .unwrap_or(quarter(self.model.num_attention_heads)),
            intermediate_size: wanted.intermediate_size.unwrap_or(quarter(self.model.intermediate_size)),
            ..self.model.clone()
        }
    }

    /// Returns the number of masked positions in each input.
    pub fn masked_positions(&self) -> usize {
        let inner = self.data.sequence_length - 2;
        ((inner as f64 * self.training.own.masked_share).round() as usize).clamp(1, inner)
    }
}

impl Settings for PretrainSettings {
    fn check(&self, file: &Path) -> Result<()> {
        self.model.check(file)?;
        self.generator().check(file)?;
        if self.model.family != Family::Electra {
            return Err(Error::field(file, "model.family", self.model.family.prefix(), "electra"));
        }
        if self.data.texts.is_empty() {
            return Err(Error::field(file, "data.texts", "none", "at least one file"));
        }
        self.optimizer.check(file)?;
        if self.optimizer.layer_decay != 1.0 {
            let found = self.optimizer.layer_decay.to_string();
            let expected = "1: all layers learn at the same rate";
            return Err(Error::field(file, "optimizer.layer_decay", found, expected));
        }
        let Joined { shared, own } = &self.training;
        let weight = own.discriminator_weight;
        if !(0.0..=1e6).contains(&weight) {
            let found = weight.to_string();
            return Err(Error::field(file, "training.discriminator_weight", found, "0 to 1e6"));
        }
        let longest = self.model.max_position_embeddings as usize;
        let counts = [
            ("data.sequence_length", self.data.sequence_length as u64, 3, longest as u64),
            ("training.steps", shared.steps, 1, MOST_STEPS),
            ("training.warmup_steps", own.warmup_steps, 0, shared.steps),
            ("training.batch_size", own.batch_size as u64, 1, 1 << 20),
            ("training.accumulate", shared.accumulate, 1, 1 << 20),
            ("run.log_every", self.run.log_every, 1, u64::MAX),
            ("run.validate_every", self.run.validate_every, 1, u64::MAX),
            ("run.checkpoint_every", self.run.checkpoint_every, 1, u64::MAX),
        ];
        for (field, found, least, most) in counts {
            if !(least..=most).contains(&found) {
                return Err(Error::field(file, field, found.to_string(), format!("{least} to {most}")));
            }
        }
        if !(own.masked_share > 0.0 && own.masked_share < 1.0) {
            let found = own.masked_share.to_string();
            return Err(Error::field(file, "training.masked_share", found, "between 0 and 1"));
        }
        Ok(())
    }

    fn paths(&mut self) -> Vec<&mut PathBuf> {
        let Data { texts, vocabulary, cache, .. } = &mut self.data;
        let Start { encoder, generator } = &mut self.start;
        texts.iter_mut().chain([vocabulary, cache]).chain(encoder).chain(generator).collect()
    }
}
