//! Settings of `distil`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::data::Source;
use crate::error::{Error, Result};
use crate::model::{Config, Family};
use crate::optimizer;
use crate::run::{
    Joined, Keep, MOST_STEPS, RunSettings, Settings, UpdateSettings, defaults, refuse_repeated,
};
use crate::texts::TextSource;

/// Content of the TOML file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DistilSettings {
    /// The teachers.
    pub teacher: Teacher,
    /// The student.
    #[serde(default)]
    pub student: Student,
    /// Sizes of the student; ELECTRA-Small's by default. Not used with `student.folder`.
    #[serde(default)]
    pub model: Config,
    /// Labels and texts.
    pub data: Data,
    /// Length and precision of the training.
    pub training: Joined<UpdateSettings, Training>,
    /// Losses and their weights.
    #[serde(default)]
    pub losses: Losses,
    /// Settings of the optimizer.
    #[serde(default)]
    pub optimizer: optimizer::Settings,
    /// Device, logging and evaluation.
    #[serde(default)]
    pub run: Joined<RunSettings, DevSettings>,
}

/// Teachers of a student.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Teacher {
    /// Folder of a classifier: ELECTRA, BERT or MPNet.
    #[serde(default)]
    pub folder: Option<PathBuf>,
    /// Further classifiers with the same labels and pieces. The student learns the mean of all
    /// their probabilities, and the hidden states and relations of the first.
    #[serde(default)]
    pub others: Vec<PathBuf>,
    /// Files of answers that `label` wrote, or tables with a column `text` and one per label. Their
    /// mean counts as one additional teacher. Without `folder` it is the only teacher, and texts
    /// without an answer are left out.
    #[serde(default)]
    pub answers: Vec<PathBuf>,
}

impl Teacher {
    /// Returns the folders of the classifiers. The student learns the hidden states of the first.
    pub fn folders(&self) -> Vec<&Path> {
        self.folder.iter().chain(&self.others).map(PathBuf::as_path).collect()
    }
}

/// Initial weights of a student.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// Random weights.
    Random,
    /// The embeddings are a projection of the teacher's; the rest is random.
    Embeddings,
    /// Every matrix is the least-squares fit to the outputs of the teacher's matrices, over some of
    /// the texts.
    #[default]
    Teacher,
}

/// The student and its initial weights.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Student {
    /// ELECTRA folder with the initial weights, instead of `start`.
    pub folder: Option<PathBuf>,
    /// Vocabulary of a student that begins with `start`; by default the teacher's. MPNet numbers
    /// its pieces in its own way, so the student of an MPNet teacher needs BERT's vocabulary.
    pub vocabulary: Option<PathBuf>,
    /// Initial weights.
    pub start: Start,
}

/// Labels and texts.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// Names of the labels, in the order of the logits. They include the teacher's labels.
    pub labels: Vec<String>,
    /// Length in tokens to which texts, or their parts, are cut.
    #[serde(default = "defaults::max_length")]
    pub max_length: usize,
    /// Texts to learn from.
    pub train: Vec<TextSource>,
    /// Texts that decide which checkpoint is best. Never a test set.
    pub dev: Vec<Source>,
}

/// Settings of the training besides [`UpdateSettings`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Training {
    /// Updates until the learning rate reaches its maximum; by default a tenth of `steps`, at most
    /// 200.
    #[serde(default)]
    pub warmup_steps: Option<u64>,
    /// Largest number of tokens in a forward pass, padding included.
    #[serde(default = "defaults::batch_tokens")]
    pub batch_tokens: usize,
    /// Seed of the initial weights, the order of the texts and dropout.
    #[serde(default = "defaults::seed")]
    pub seed: u64,
}

impl DistilSettings {
    /// Returns `training.warmup_steps` or its default.
    pub fn warmup(&self) -> u64 {
        let Joined { shared, own } = &self.training;
        own.warmup_steps.unwrap_or_else(|| (shared.steps / 10).min(200))
    }
}

/// Losses and their weights. A loss with a weight of 0 is left out.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Losses {
    /// Temperature by which the logits of both models are divided before they are compared (Hinton
    /// et al., "Distilling the Knowledge in a Neural Network", 2015).
    pub temperature: f64,
    /// Weight of the loss against the teacher's labels.
    pub soft: f64,
    /// Weight of the loss against the texts' own labels, for texts that have one.
    pub hard: f64,
    /// Weight of the loss between hidden states, in units of the variance of the teacher's. At each
    /// layer of the teacher, a separate linear map takes the student's states to the teacher's
    /// (Jiao et al., "TinyBERT", 2020).
    pub hidden: f64,
    /// Weight of the loss between the relations of queries, of keys and of values among tokens in
    /// the last layer (Wang et al., "MiniLMv2", 2021).
    pub relations: f64,
    /// Weight of the distance between the answers to a text and to its changed copies.
    pub consistency: f64,
    /// Number of heads into which queries, keys and values are split for their relations.
    pub relation_heads: i64,
}

impl Default for Losses {
    fn default() -> Self {
        Self {
            temperature: 2.0,
            soft: 1.0,
            hard: 0.5,
            hidden: 1.0,
            relations: 0.0,
            consistency: 0.0,
            relation_heads: 16,
        }
    }
}

/// Settings of the evaluation on dev, and of the run's result.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct DevSettings {
    /// Updates between two evaluations on dev. A checkpoint is written at each.
    pub evaluate_every: u64,
    /// Student that the run leaves.
    pub keep: Keep,
}

impl Default for DevSettings {
    fn default() -> Self {
        Self { evaluate_every: 500, keep: Keep::Best }
    }
}

impl Settings for DistilSettings {
    fn check(&self, file: &Path) -> Result<()> {
        self.model.check(file)?;
        if self.model.family != Family::Electra {
            return Err(Error::field(file, "model.family", self.model.family.prefix(), "electra"));
        }
        let Joined { shared, own } = &self.training;
        let counts = [
            ("data.labels", self.data.labels.len() as u64, 2),
            ("data.train", self.data.train.len() as u64, 1),
            ("data.dev", self.data.dev.len() as u64, 1),
            ("data.max_length", self.data.max_length as u64, 3),
            ("training.steps", shared.steps, 1),
            ("training.accumulate", shared.accumulate, 1),
            ("training.batch_tokens", own.batch_tokens as u64, self.data.max_length as u64),
            ("losses.relation_heads", self.losses.relation_heads.max(0) as u64, 1),
            ("run.log_every", self.run.shared.log_every, 1),
            ("run.evaluate_every", self.run.own.evaluate_every, 1),
        ];
        for (field, found, least) in counts {
            if found < least {
                return Err(Error::field(file, field, found.to_string(), format!("at least {least}")));
            }
        }
        for (field, found, most) in [
            ("training.steps", shared.steps, MOST_STEPS),
            ("training.warmup_steps", own.warmup_steps.unwrap_or(0), shared.steps),
            ("training.batch_tokens", own.batch_tokens as u64, 1 << 30),
            ("training.accumulate", shared.accumulate, 1 << 20),
        ] {
            if found > most {
                return Err(Error::field(file, field, found.to_string(), format!("at most {most}")));
            }
        }
        refuse_repeated(file, "data.labels", &self.data.labels)?;
        self.optimizer.check(file)?;
        let losses = &self.losses;
        let weights = [
            ("losses.soft", losses.soft),
            ("losses.hard", losses.hard),
            ("losses.hidden", losses.hidden),
            ("losses.relations", losses.relations),
            ("losses.consistency", losses.consistency),
        ];
        for (field, found) in weights {
            if !(0.0..=1e6).contains(&found) {
                return Err(Error::field(file, field, found.to_string(), "0 to 1e6"));
            }
        }
        if weights.iter().all(|&(_, weight)| weight == 0.0) {
            return Err(Error::field(file, "losses", "only weights of 0", "at least one weight above 0"));
        }
        if self.teacher.folder.is_none() {
            let nothing = [("losses.hidden", losses.hidden), ("losses.relations", losses.relations)];
            if let Some((field, found)) = nothing.into_iter().find(|&(_, weight)| weight > 0.0) {
                let expected = "0, or a teacher.folder: answer files contain only probabilities";
                return Err(Error::field(file, field, found.to_string(), expected));
            }
            if self.teacher.answers.is_empty() || !self.teacher.others.is_empty() {
                let expected = "a classifier's, or teacher.answers without teacher.others";
                return Err(Error::field(file, "teacher.folder", "none", expected));
            }
            if self.student.folder.is_none() && self.student.start != Start::Random {
                let expected = "random, or a student.folder: answer files contain no weights";
                let found = format!("{:?}", self.student.start).to_lowercase();
                return Err(Error::field(file, "student.start", found, expected));
            }
        }
        if !(0.1..=100.0).contains(&losses.temperature) {
            return Err(Error::field(
                file,
                "losses.temperature",
                losses.temperature.to_string(),
                "0.1 to 100",
            ));
        }
        for source in &self.data.train {
            source.check(false, file)?;
        }
        Ok(())
    }

    fn paths(&mut self) -> Vec<&mut PathBuf> {
        let train = self.data.train.iter_mut().flat_map(TextSource::paths);
        let dev = self.data.dev.iter_mut().flat_map(Source::paths);
        let Teacher { folder, others, answers } = &mut self.teacher;
        let Student { folder: initial, vocabulary, .. } = &mut self.student;
        let teacher = folder.iter_mut().chain(others).chain(answers);
        train.chain(dev).chain(teacher).chain(initial).chain(vocabulary).collect()
    }
}
