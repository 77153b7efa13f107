//! Text to label.

use std::path::Path;
use std::sync::Arc;

use electra_core::{HeadKind, RunError, verdict};

use crate::engine::{Engine, EngineOptions};
use crate::error::Error;
use crate::model_file::ModelFile;
use crate::windows::{Coverage, Windows};

/// How a classifier is made.
#[derive(Clone, Debug, Default)]
pub struct ClassifierOptions {
    /// How its engine is made.
    pub engine: EngineOptions,
    /// Whether a text longer than the engine's sequences is cut; it is classified in windows otherwise.
    pub truncate: bool,
    /// Labels that are no answer, by name. The probabilities of the others are divided by their sum,
    /// so that they add up to 1: `["NEUTRAL"]` makes a classifier of two labels of one of three.
    pub without: Vec<String>,
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
    pack: Pack,
    labels: Labels,
    truncate: bool,
}

/// The labels that are answers.
struct Labels {
    names: Arc<[Arc<str>]>,
    /// Their indices among the model's labels.
    indices: Vec<usize>,
    /// Labels of the model.
    all: usize,
}

/// What a classifier says of a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Classification {
    /// The likeliest label, of equal ones the first: that of the first entry of
    /// [`Classification::ranked`].
    pub label: Arc<str>,
    /// Its probability, 0 to 1.
    pub score: f32,
    /// The probability of every label that is an answer, in the model's order; they add up to 1.
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
    /// Labels and probabilities, the likeliest first, equal ones in the model's order.
    #[must_use]
    pub fn ranked(&self) -> Vec<LabelScore> {
        let mut ranked = self.scores.clone();
        // A stable sort: the first of equal ones stays the first, as `verdict::likeliest` has it.
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
    /// When the model has no classification head, lacks a label that is to be left out or has fewer
    /// than two others, or the engine cannot be made.
    pub fn new(file: &ModelFile, options: &ClassifierOptions) -> Result<Self, Error> {
        file.expect_head(HeadKind::Classification)?;
        let engine = Engine::new(file, &options.engine)?;
        let windows = Windows::new(engine.max_tokens());
        let labels = Labels::new(file, &options.without)?;
        let pack = Pack::new(&engine);
        Ok(Self { engine, windows, pack, labels, truncate: options.truncate })
    }

    /// Classifies one text, in overlapping windows if it is longer than the engine's sequences. Their
    /// probabilities are averaged, each window weighted by the tokens that it adds.
    ///
    /// # Errors
    /// When the text is longer than 4 GiB, or its logits are not finite.
    pub fn classify(&mut self, text: &str) -> Result<Classification, Error> {
        // As many answers as texts: one.
        self.classify_all(&[text]).pop().expect("an answer")
    }

    /// Classifies several texts, with the same answers as [`Classifier::classify`] gives to each. Short ones run
    /// together, [`EngineOptions::max_sequences`] of them at most, which is faster.
    ///
    /// # Errors
    /// Of each text as [`Classifier::classify`].
    pub fn classify_all(&mut self, texts: &[&str]) -> Vec<Result<Classification, Error>> {
        let Self { engine, windows, pack, labels, truncate } = self;
        let file = engine.file().clone();
        let mut tallies: Vec<_> = texts.iter().map(|_| Tally::new(labels.all)).collect();
        let mut failure = None;
        let coverages: Vec<_> = texts
            .iter()
            .enumerate()
            .map(|(text_index, text)| {
                windows.each(file.tokenizer(), text, *truncate, |window| {
                    if !pack.has_room(window.ids.len()) {
                        failure = pack.run(engine, &mut tallies).err().or(failure.take());
                    }
                    let weight = (window.tokens.len() - window.repeated).max(1) as f64;
                    pack.push(window.ids, text_index, weight);
                    Ok(())
                })
            })
            .collect();
        // Texts run together, so they fail together.
        failure = pack.run(engine, &mut tallies).err().or(failure);
        let answers = tallies.into_iter().zip(coverages);
        answers
            .map(|(tally, coverage)| match &failure {
                Some(error) => Err(Error::Engine(error.to_string())),
                None => tally.classification(labels, coverage?),
            })
            .collect()
    }

    /// The engine that runs the model.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The labels that are answers, in the order of [`Classification::scores`].
    #[must_use]
    pub fn labels(&self) -> &[Arc<str>] {
        &self.labels.names
    }
}

impl Labels {
    fn new(file: &ModelFile, without: &[String]) -> Result<Self, Error> {
        let all: Vec<&str> = file.model().labels().collect();
        let refuse = |label: &str| Error::Without {
            label: label.to_owned(),
            labels: all.iter().map(|&name| name.to_owned()).collect(),
        };
        if let Some(label) = without.iter().find(|label| !all.contains(&label.as_str())) {
            return Err(refuse(label));
        }
        let is_kept = |index: &usize| !without.iter().any(|label| label == all[*index]);
        let indices: Vec<usize> = (0..all.len()).filter(is_kept).collect();
        if let (Some(label), true) = (without.last(), indices.len() < 2) {
            return Err(refuse(label));
        }
        let names = indices.iter().map(|&index| Arc::from(all[index])).collect();
        Ok(Self { names, indices, all: all.len() })
    }
}

/// What the windows of a text have said so far.
struct Tally {
    /// Of each label the mean of its probabilities, weighted by their windows.
    means: Vec<f64>,
    /// Weight of all windows so far.
    total: f64,
    /// Why a window has no probabilities.
    failure: Option<RunError>,
}

impl Tally {
    fn new(labels: usize) -> Self {
        Self { means: vec![0.0; labels], total: 0.0, failure: None }
    }

    /// Adds a window.
    fn add(&mut self, logits: &[f32], weight: f64) {
        let logits = match verdict::finite(logits) {
            Ok(logits) => logits,
            Err(error) => {
                self.failure.get_or_insert(error);
                return;
            }
        };
        self.total += weight;
        // 1 for the first window: a text of one window has its softmax to the bit, as on the
        // firmware.
        let share = weight / self.total;
        for (mean, probability) in self.means.iter_mut().zip(verdict::softmax(logits)) {
            *mean += (probability - *mean) * share;
        }
    }

    fn classification(self, labels: &Labels, coverage: Coverage) -> Result<Classification, Error> {
        if let Some(error) = self.failure {
            return Err(error.into());
        }
        let means = labels.indices.iter().map(|&index| self.means[index]);
        // Divided after the windows were averaged: a window counts as far as it speaks for one of these
        // labels.
        let total: f64 = if labels.indices.len() < labels.all { means.clone().sum() } else { 1.0 };
        let equal = 1.0 / labels.indices.len().max(1) as f64;
        let scores: Vec<_> = labels
            .names
            .iter()
            .zip(means)
            .map(|(label, mean)| {
                let score = if total > 0.0 { mean / total } else { equal };
                LabelScore { label: label.clone(), score: score as f32 }
            })
            .collect();
        let best = verdict::likeliest(scores.iter().map(|entry| entry.score));
        // `Config::validate` refuses models without labels.
        let (label, score) =
            best.map_or((Arc::from(""), 0.0), |(index, score)| (scores[index].label.clone(), score));
        let (tokens, windows, truncated) = (coverage.tokens, coverage.windows, coverage.truncated);
        Ok(Classification { label, score, scores, tokens, windows, truncated })
    }
}

/// Most tokens of windows that run together. From here on more rows make a run no faster by the token.
const PACKED_TOKENS: usize = 64;
/// Most windows that run together.
const PACKED_WINDOWS: usize = 16;

/// Windows that wait to be run together.
struct Pack {
    ids: Vec<u16>,
    /// Of each window where its ids end, its text's index and its weight.
    windows: Vec<(usize, usize, f64)>,
    most_windows: usize,
    most_tokens: usize,
}

impl Pack {
    fn new(engine: &Engine) -> Self {
        let most_windows = engine.max_sequences().min(PACKED_WINDOWS);
        let ids = Vec::with_capacity(engine.max_tokens());
        let windows = Vec::with_capacity(most_windows);
        Self { ids, windows, most_windows, most_tokens: engine.max_tokens().min(PACKED_TOKENS) }
    }

    fn has_room(&self, tokens: usize) -> bool {
        let fits = || self.ids.len() + tokens <= self.most_tokens;
        self.windows.is_empty() || (self.windows.len() < self.most_windows && fits())
    }

    fn push(&mut self, ids: &[u16], text_index: usize, weight: f64) {
        self.ids.extend_from_slice(ids);
        self.windows.push((self.ids.len(), text_index, weight));
    }

    /// Runs what waits and adds it to the tallies of its texts.
    fn run(&mut self, engine: &mut Engine, tallies: &mut [Tally]) -> Result<(), Error> {
        let mut sequences = [&[][..]; PACKED_WINDOWS];
        let mut start = 0;
        for (sequence, (end, ..)) in sequences.iter_mut().zip(&self.windows) {
            *sequence = &self.ids[start..*end];
            start = *end;
        }
        let count = self.windows.len();
        let outcome = if count > 0 { engine.run_packed(&sequences[..count]) } else { Ok(&[][..]) };
        let outcome = outcome.map(|logits| {
            let windows = logits.chunks_exact((logits.len() / count.max(1)).max(1)).zip(&self.windows);
            for (logits, (_, text_index, weight)) in windows {
                tallies[*text_index].add(logits, *weight);
            }
        });
        self.ids.clear();
        self.windows.clear();
        outcome
    }
}
