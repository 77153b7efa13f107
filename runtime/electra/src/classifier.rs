//! Text to label.

use std::path::Path;
use std::sync::Arc;

use electra_core::HeadKind;

use crate::engine::{Engine, EngineOptions};
use crate::error::Error;
use crate::model_file::ModelFile;
use crate::windows::Windows;

/// How a classifier is made.
#[derive(Clone, Debug, Default)]
pub struct ClassifierOptions {
    /// How its engine is made.
    pub engine: EngineOptions,
    /// Whether a text longer than the engine's sequences is cut; it is classified in windows otherwise.
    pub truncate: bool,
}

/// Classifies texts with one engine and its arena. For several threads, make one a thread from one [`ModelFile`].
///
/// ```no_run
/// # fn main() -> Result<(), electra::Error> {
/// let mut classifier = electra::Classifier::open_default()?;
/// let answer = classifier.classify("ELECTRA is surprisingly fast and accurate.")?;
/// println!("{} {:.4}", answer.label, answer.score);
/// # Ok(())
/// # }
/// ```
pub struct Classifier {
    engine: Engine,
    windows: Windows,
    labels: Arc<[Arc<str>]>,
    truncate: bool,
}

/// What a classifier says of a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Classification {
    /// The likeliest label.
    pub label: Arc<str>,
    /// Its probability, 0 to 1.
    pub score: f32,
    /// The probability of every label, in the model's order; they add up to 1.
    pub scores: Vec<LabelScore>,
    /// Tokens of the text that were looked at, without `[CLS]` and `[SEP]`.
    pub tokens: usize,
    /// Windows in which they were looked at; 1 unless the text is long.
    pub windows: usize,
    /// Whether the text was cut.
    pub truncated: bool,
}

/// A label and its probability.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelScore {
    /// The label's name.
    pub label: Arc<str>,
    /// Its probability, 0 to 1.
    pub score: f32,
}

impl Classification {
    /// Labels and probabilities, the likeliest first.
    #[must_use]
    pub fn ranked(&self) -> Vec<LabelScore> {
        let mut ranked = self.scores.clone();
        ranked.sort_by(|a, b| b.score.total_cmp(&a.score));
        ranked
    }
}

impl Classifier {
    /// Opens a model file with the default engine for the model's longest sequence.
    ///
    /// # Errors
    /// When the file is no intact model, has no classification head, or memory is short.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::new(&ModelFile::open(path)?, &ClassifierOptions::default())
    }

    /// The same for the default model; see [`ModelFile::open_default`].
    ///
    /// # Errors
    /// As [`Classifier::open`], and when there is no default model.
    pub fn open_default() -> Result<Self, Error> {
        Self::new(&ModelFile::open_default()?, &ClassifierOptions::default())
    }

    /// A classifier for an opened model.
    ///
    /// # Errors
    /// When the model has no classification head or the engine cannot be made.
    pub fn new(file: &ModelFile, options: &ClassifierOptions) -> Result<Self, Error> {
        file.expect_head(HeadKind::Classification)?;
        let engine = Engine::new(file, &options.engine)?;
        let windows = Windows::new(engine.max_tokens());
        let labels = file.model().labels().map(Arc::from).collect();
        Ok(Self { engine, windows, labels, truncate: options.truncate })
    }

    /// Classifies one text, in overlapping windows if it is longer than the engine's sequences. Their
    /// probabilities are averaged, each window weighted by the tokens that it adds.
    ///
    /// # Errors
    /// When the text is longer than 4 GiB.
    pub fn classify(&mut self, text: &str) -> Result<Classification, Error> {
        let Self { engine, windows, labels, truncate } = self;
        let file = engine.file().clone();
        let mut sums = vec![0f64; labels.len()];
        let mut total = 0.0;
        let coverage = windows.each(file.tokenizer(), text, *truncate, |window| {
            let weight = (window.tokens.len() - window.repeated).max(1) as f64;
            total += weight;
            add_softmax(engine.run(window.ids)?, weight, &mut sums);
            Ok(())
        })?;
        let scores: Vec<_> = labels
            .iter()
            .zip(sums)
            .map(|(label, sum)| LabelScore { label: label.clone(), score: (sum / total) as f32 })
            .collect();
        let best = scores.iter().max_by(|a, b| a.score.total_cmp(&b.score));
        // `Config::validate` refuses models without labels.
        let (label, score) = best.map_or((Arc::from(""), 0.0), |best| (best.label.clone(), best.score));
        let (tokens, windows, truncated) = (coverage.tokens, coverage.windows, coverage.truncated);
        Ok(Classification { label, score, scores, tokens, windows, truncated })
    }

    /// The engine that runs the model.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The model's labels, in the order of [`Classification::scores`].
    #[must_use]
    pub fn labels(&self) -> &[Arc<str>] {
        &self.labels
    }
}

/// Adds `weight` times the softmax of `logits`. `libm` and not the system's `exp`, so that every machine prints the
/// same scores.
fn add_softmax(logits: &[f32], weight: f64, sums: &mut [f64]) {
    let greatest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exponentials = logits.iter().map(|logit| libm::exp(f64::from(logit - greatest)));
    let total: f64 = exponentials.clone().sum();
    for (sum, exponential) in sums.iter_mut().zip(exponentials) {
        *sum += weight * exponential / total;
    }
}
