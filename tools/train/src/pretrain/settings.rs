//! Settings of `pretrain`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::device::{DeviceChoice, Precision};
use crate::error::{Error, Result};
use crate::model::{Config, Family};
use crate::optimizer;
use crate::run::{MOST_STEPS, Settings};

/// The TOML file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PretrainSettings {
    /// Texts.
    pub data: Data,
    /// Sizes of the model that is wanted; ELECTRA-Small where left out.
    #[serde(default)]
    pub model: Config,
    /// Weights to begin with, instead of random ones.
    #[serde(default)]
    pub start: Start,
    /// Sizes of the generator; a quarter of the model's width where left out.
    #[serde(default)]
    pub generator: Generator,
    /// What is learnt and for how long.
    pub training: Training,
    /// The optimizer.
    #[serde(default)]
    pub optimizer: optimizer::Settings,
    /// Where and how often.
    #[serde(default)]
    pub run: Run,
}

/// Texts.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// `.txt` or `.zst` files: a paragraph a line, an empty line between documents.
    pub texts: Vec<PathBuf>,
    /// `vocab.txt`.
    pub vocabulary: PathBuf,
    /// Folder for the cache of ids.
    pub cache: PathBuf,
    /// Tokens of an input, with `[CLS]` and `[SEP]`.
    #[serde(default = "defaults::sequence_length")]
    pub sequence_length: usize,
    /// Inputs from the end of the texts that are never trained on.
    #[serde(default = "defaults::validation")]
    pub validation: usize,
}

/// Weights to begin with.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Start {
    /// An ELECTRA folder of `[model]`'s sizes; its head is used where it is that of the objective.
    pub encoder: Option<PathBuf>,
    /// An ELECTRA folder of the generator's widths and at least as many layers, the first of which the generator begins with; its
    /// head is used where it predicts masked tokens, its embeddings are not: they are the model's.
    pub generator: Option<PathBuf>,
}

/// Widths of the generator; everything else is the model's.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Generator {
    /// Encoder's width.
    pub hidden_size: Option<i64>,
    /// Layers.
    pub num_hidden_layers: Option<i64>,
    /// Heads.
    pub num_attention_heads: Option<i64>,
    /// Width of the feed-forward blocks.
    pub intermediate_size: Option<i64>,
}

/// What the model learns from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Objective {
    /// Every token: replaced or not.
    #[default]
    Rtd,
    /// The same judgement, learnt at the masked positions alone.
    #[serde(rename = "rtd-15")]
    Rtd15,
    /// The model itself predicts what was masked; there is no generator.
    Mlm,
}

/// What is learnt and for how long.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// What the model learns from.
    #[serde(default)]
    pub objective: Objective,
    /// Updates.
    pub steps: u64,
    /// Updates until the learning rate is at its largest.
    pub warmup_steps: u64,
    /// Inputs of one forward pass.
    pub batch_size: usize,
    /// Forward passes of one update.
    #[serde(default = "defaults::accumulate")]
    pub accumulate: u64,
    /// Share of the tokens that are masked.
    #[serde(default = "defaults::masked_share")]
    pub masked_share: f64,
    /// Weight of the discriminator's loss beside the generator's.
    #[serde(default = "defaults::discriminator_weight")]
    pub discriminator_weight: f64,
    /// Where every random number comes from.
    #[serde(default)]
    pub seed: u64,
    /// Kind of the numbers that compute.
    #[serde(default)]
    pub precision: Precision,
}

/// Where and how often; may change when a run goes on.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Run {
    /// Where to compute.
    pub device: DeviceChoice,
    /// Updates between two lines of the log.
    pub log_every: u64,
    /// Updates between two looks at the inputs held out.
    pub validate_every: u64,
    /// Updates between two checkpoints.
    pub checkpoint_every: u64,
}

impl Default for Run {
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
    pub(super) fn accumulate() -> u64 {
        1
    }
    pub(super) fn masked_share() -> f64 {
        0.15
    }
    pub(super) fn discriminator_weight() -> f64 {
        50.0
    }
}

impl PretrainSettings {
    /// Sizes of the generator: by default a quarter of the model's widths, as for ELECTRA-Small in the paper, and heads of
    /// the same width.
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

    /// Positions masked in each input.
    pub fn masked_positions(&self) -> usize {
        let inner = self.data.sequence_length - 2;
        ((inner as f64 * self.training.masked_share).round() as usize).clamp(1, inner)
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
            return Err(Error::field(file, "optimizer.layer_decay", found, "1: all layers learn alike here"));
        }
        let weight = self.training.discriminator_weight;
        if !(0.0..=1e6).contains(&weight) {
            let found = weight.to_string();
            return Err(Error::field(file, "training.discriminator_weight", found, "0 to 1e6"));
        }
        let longest = self.model.max_position_embeddings as usize;
        let counts = [
            ("data.sequence_length", self.data.sequence_length as u64, 3, longest as u64),
            ("training.steps", self.training.steps, 1, MOST_STEPS),
            ("training.warmup_steps", self.training.warmup_steps, 0, self.training.steps),
            ("training.batch_size", self.training.batch_size as u64, 1, 1 << 20),
            ("training.accumulate", self.training.accumulate, 1, 1 << 20),
            ("run.log_every", self.run.log_every, 1, u64::MAX),
            ("run.validate_every", self.run.validate_every, 1, u64::MAX),
            ("run.checkpoint_every", self.run.checkpoint_every, 1, u64::MAX),
        ];
        for (field, found, least, most) in counts {
            if !(least..=most).contains(&found) {
                return Err(Error::field(file, field, found.to_string(), format!("{least} to {most}")));
            }
        }
        if !(self.training.masked_share > 0.0 && self.training.masked_share < 1.0) {
            let found = self.training.masked_share.to_string();
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
