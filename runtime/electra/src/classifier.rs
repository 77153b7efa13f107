//! Classification of texts.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use electra_core::HeadKind;
use electra_core::verdict::{self, UNSURE};

use crate::engine::{Engine, EngineOptions};
use crate::error::Error;
use crate::model_file::ModelFile;
use crate::windows::{Coverage, Windows};

/// Settings of a classifier. [`ClassifierOptions::new`] returns the defaults, and each method
/// changes one of them.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ClassifierOptions {
    /// Settings of its engine.
    pub engine: EngineOptions,
    /// Whether a text longer than the engine's sequences is cut. Otherwise it is classified in
    /// windows.
    pub truncate: bool,
    /// Names of labels that are never the answer. The probabilities of the others are divided by
    /// their sum, so they add up to 1. For example, `["NEUTRAL"]` turns a classifier of three
    /// labels into one of two.
    pub without: Vec<String>,
    /// Smallest score of an answer, 0 to 1. If the likeliest label has a lower score, the answer is
    /// [`UNSURE`]. This replaces the thresholds in the model file, which apply otherwise; 0 turns
    /// them off.
    pub min_score: Option<f32>,
}

impl ClassifierOptions {
    /// Returns the defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`ClassifierOptions::engine`].
    #[must_use]
    pub fn engine(self, engine: EngineOptions) -> Self {
        Self { engine, ..self }
    }

    /// Sets [`ClassifierOptions::truncate`].
    #[must_use]
    pub fn truncate(self, truncate: bool) -> Self {
        Self { truncate, ..self }
    }

    /// Sets [`ClassifierOptions::without`].
    #[must_use]
    pub fn without<L: Into<String>>(self, labels: impl IntoIterator<Item = L>) -> Self {
        Self { without: labels.into_iter().map(Into::into).collect(), ..self }
    }

    /// Sets [`ClassifierOptions::min_score`].
    #[must_use]
    pub fn min_score(self, min_score: impl Into<Option<f32>>) -> Self {
        Self { min_score: min_score.into(), ..self }
    }
}

/// Classifies texts with one engine and its arena. For several threads, make one classifier per
/// thread from one [`ModelFile`].
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
    batch: Batch,
    labels: Labels,
    truncate: bool,
    /// Buffers of [`Classifier::classify_in_place`].
    tally: Tally,
    scores: Vec<f32>,
}

/// The labels that can be answers.
struct Labels {
    names: Arc<[Arc<str>]>,
    /// The smallest score of each as an answer.
    thresholds: Box<[f32]>,
    unsure: Arc<str>,
    /// Their indices among the model's labels.
    indices: Vec<usize>,
    /// Number of labels of the model.
    all: usize,
}

/// Result of [`Classifier::classify`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Classification {
    /// The likeliest label, of equal ones the first. It is that of the first entry of
    /// [`Classification::ranked`]. If its score is too low, see [`ClassifierOptions::min_score`],
    /// this is [`UNSURE`] instead.
    pub label: Arc<str>,
    /// The probability of the likeliest label, 0 to 1.
    pub score: f32,
    /// Whether the score is too low for an answer.
    pub unsure: bool,
    /// The probability of every label that can be the answer, in the model's order. They add up to
    /// 1.
    pub scores: Vec<LabelScore>,
    /// Number of tokens of the text that were run, without `[CLS]` and `[SEP]`.
    pub tokens: usize,
    /// Number of windows that were run; 1 unless the text is long.
    pub windows: usize,
    /// Whether the text was cut.
    pub truncated: bool,
}

/// Result of [`Classifier::classify_in_place`]. It borrows from the classifier.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Answer<'a> {
    /// The likeliest label, of equal ones the first, or [`UNSURE`] if its score is too low.
    pub label: &'a str,
    /// Index of the likeliest label in [`Answer::scores`] and [`Classifier::labels`].
    pub index: usize,
    /// The probability of the likeliest label, 0 to 1.
    pub score: f32,
    /// Whether the score is too low for an answer, see [`ClassifierOptions::min_score`].
    pub unsure: bool,
    /// The probability of every label that can be the answer, in the order of
    /// [`Classifier::labels`].
    pub scores: &'a [f32],
    /// Number of tokens of the text that were run, without `[CLS]` and `[SEP]`.
    pub tokens: usize,
    /// Number of windows that were run; 1 unless the text is long.
    pub windows: usize,
    /// Whether the text was cut.
    pub truncated: bool,
}

/// A label and its probability.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers make it for Classification::new")]
pub struct LabelScore {
    /// The label's name.
    pub label: Arc<str>,
    /// Its probability, 0 to 1.
    pub score: f32,
}

impl Classification {
    /// Creates the result that follows from the probability of every label, for a text of one
    /// window without tokens.
    #[must_use]
    pub fn new(scores: Vec<LabelScore>) -> Self {
        let best = verdict::likeliest(scores.iter().map(|entry| entry.score));
        let (label, score) =
            best.map_or((Arc::from(""), 0.0), |(index, score)| (scores[index].label.clone(), score));
        Self { label, score, unsure: false, scores, tokens: 0, windows: 1, truncated: false }
    }

    /// Returns labels and probabilities, the likeliest first, equal ones in the model's order.
    #[must_use]
    pub fn ranked(&self) -> Vec<LabelScore> {
        let mut ranked = self.scores.clone();
        // The sort is stable, so the first of equal labels stays the first, as in
        // `verdict::likeliest`.
        ranked.sort_by(|a, b| b.score.total_cmp(&a.score));
        ranked
    }
}

impl Classifier {
    /// Opens a model file with the default engine for the model's longest sequence.
    ///
    /// # Errors
    /// When the file cannot be opened, is not an intact model or has no classification head, or
    /// when memory is short.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::new(&ModelFile::open(path)?, &ClassifierOptions::default())
    }

    /// Opens the default model in the same way; see [`ModelFile::open_default`].
    ///
    /// # Errors
    /// As [`Classifier::open`], and when there is no default model.
    pub fn open_default() -> Result<Self, Error> {
        Self::new(&ModelFile::open_default()?, &ClassifierOptions::default())
    }

    /// Creates a classifier for an opened model.
    ///
    /// # Errors
    /// When the model has no classification head, when it lacks a label that is to be left out,
    /// when fewer than two labels remain, when a threshold is not from 0 to 1, or when the engine
    /// cannot be made.
    pub fn new(file: &ModelFile, options: &ClassifierOptions) -> Result<Self, Error> {
        file.expect_head(HeadKind::Classification)?;
        let engine = Engine::new(file, &options.engine)?;
        let windows = Windows::new(engine.max_tokens());
        let labels = Labels::new(file, options)?;
        let batch = Batch::new(&engine);
        let (tally, scores) = (Tally::new(labels.all), vec![0.0; labels.indices.len()]);
        Ok(Self { engine, windows, batch, labels, truncate: options.truncate, tally, scores })
    }

    /// Classifies one text. A text longer than the engine's sequences is classified in overlapping
    /// windows. Their probabilities are averaged, each window weighted by the number of tokens that
    /// it adds.
    ///
    /// # Errors
    /// When the text is longer than 4 GiB, or its logits are not finite.
    pub fn classify(&mut self, text: &str) -> Result<Classification, Error> {
        // There is one answer per text.
        self.classify_all(&[text]).pop().expect("an answer")
    }

    /// Classifies one text with the same result as [`Classifier::classify`]. Allocates nothing
    /// after the first call, whatever the length of the text.
    ///
    /// # Errors
    /// As [`Classifier::classify`].
    pub fn classify_in_place(&mut self, text: &str) -> Result<Answer<'_>, Error> {
        let Self { engine, windows, labels, truncate, tally, scores, .. } = self;
        let file = engine.file().clone();
        tally.reset();
        let coverage = windows.each(file.tokenizer(), text, *truncate, |window| {
            tally.add(engine.run_packed(&[window.ids])?, window.weight());
            Ok(())
        })?;
        if let Some(error) = tally.failure.take() {
            return Err(error);
        }
        for (score, probability) in scores.iter_mut().zip(tally.probabilities(labels)) {
            *score = probability;
        }
        let (index, score) = verdict::likeliest(scores.iter().copied()).unwrap_or_default();
        let unsure = labels.are_unsure(index, score);
        let label = if unsure { UNSURE } else { labels.names.get(index).map_or("", |label| &**label) };
        let (tokens, windows, truncated) = (coverage.tokens, coverage.windows, coverage.truncated);
        Ok(Answer { label, index, score, unsure, scores, tokens, windows, truncated })
    }

    /// Classifies several texts, with the same answers as [`Classifier::classify`] gives for each.
    /// Short texts run together, which is faster; at most [`EngineOptions::max_sequences`] windows
    /// share a run.
    ///
    /// # Errors
    /// For each text as [`Classifier::classify`]. If a run fails, all texts of that run get its
    /// error.
    pub fn classify_all(&mut self, texts: &[&str]) -> Vec<Result<Classification, Error>> {
        let Self { engine, windows, batch, labels, truncate, .. } = self;
        let file = engine.file().clone();
        let mut tallies: Vec<_> = texts.iter().map(|_| Tally::new(labels.all)).collect();
        let coverages: Vec<_> = texts
            .iter()
            .enumerate()
            .map(|(text_index, text)| {
                windows.each(file.tokenizer(), text, *truncate, |window| {
                    if !batch.has_room(window.ids.len()) {
                        batch.run(engine, &mut tallies);
                    }
                    batch.push(window.ids, text_index, window.weight());
                    Ok(())
                })
            })
            .collect();
        batch.run(engine, &mut tallies);
        let answers = tallies.into_iter().zip(coverages);
        answers.map(|(tally, coverage)| tally.classification(labels, coverage?)).collect()
    }

    /// Changes [`ClassifierOptions::truncate`] for the next texts.
    pub fn set_truncate(&mut self, truncate: bool) {
        self.truncate = truncate;
    }

    /// Returns the engine that runs the model.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Returns the labels that can be answers, in the order of [`Classification::scores`].
    #[must_use]
    pub fn labels(&self) -> &[Arc<str>] {
        &self.labels.names
    }

    /// Returns the smallest score of each of these labels as an answer, see
    /// [`ClassifierOptions::min_score`].
    #[must_use]
    pub fn thresholds(&self) -> &[f32] {
        &self.labels.thresholds
    }
}

impl fmt::Debug for Classifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Classifier")
            .field("engine", &self.engine)
            .field("labels", &self.labels.names)
            .field("truncate", &self.truncate)
            .finish_non_exhaustive()
    }
}

impl Labels {
    fn new(file: &ModelFile, options: &ClassifierOptions) -> Result<Self, Error> {
        let without = &options.without;
        if let Some(found) = options.min_score.filter(|score| !(0.0..=1.0).contains(score)) {
            return Err(Error::MinScore { found });
        }
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
        let threshold = |&index: &usize| match options.min_score {
            Some(min_score) => Ok(min_score),
            None => file.model().threshold(all[index]),
        };
        let thresholds: Result<_, _> = indices.iter().map(threshold).collect();
        let thresholds = thresholds.map_err(|source| Error::model(file.path(), source))?;
        Ok(Self { names, thresholds, unsure: UNSURE.into(), indices, all: all.len() })
    }

    /// Returns whether this score of the likeliest label is too low for an answer.
    fn are_unsure(&self, likeliest: usize, score: f32) -> bool {
        self.thresholds.get(likeliest).is_some_and(|threshold| score < *threshold)
    }
}

/// Averages over the windows of a text so far.
struct Tally {
    /// Mean of the probabilities of each label, with the weights of the windows.
    means: Vec<f64>,
    /// Weight of all windows so far.
    total: f64,
    /// The error of a window that has no probabilities.
    failure: Option<Error>,
}

impl Tally {
    fn new(labels: usize) -> Self {
        Self { means: vec![0.0; labels], total: 0.0, failure: None }
    }

    fn reset(&mut self) {
        self.means.fill(0.0);
        self.total = 0.0;
        self.failure = None;
    }

    /// Adds a window.
    fn add(&mut self, logits: &[f32], weight: f64) {
        let logits = match verdict::finite(logits) {
            Ok(logits) => logits,
            Err(error) => {
                self.failure.get_or_insert(error.into());
                return;
            }
        };
        self.total += weight;
        // The share is 1 for the first window, so a text of one window has its softmax to the bit,
        // as on the firmware.
        let share = weight / self.total;
        for (mean, probability) in self.means.iter_mut().zip(verdict::softmax(logits)) {
            *mean += (probability - *mean) * share;
        }
    }

    /// Returns the probabilities of `labels`.
    fn probabilities<'a>(&'a self, labels: &'a Labels) -> impl Iterator<Item = f32> + 'a {
        let means = labels.indices.iter().map(|&index| self.means[index]);
        // The division comes after the windows are averaged, so a window counts in proportion to
        // its probability of these labels.
        let total: f64 = if labels.indices.len() < labels.all { means.clone().sum() } else { 1.0 };
        let equal = 1.0 / labels.indices.len().max(1) as f64;
        means.map(move |mean| (if total > 0.0 { mean / total } else { equal }) as f32)
    }

    fn classification(self, labels: &Labels, coverage: Coverage) -> Result<Classification, Error> {
        let probabilities = self.probabilities(labels);
        let label_score = |(label, score): (&Arc<str>, f32)| LabelScore { label: label.clone(), score };
        let scores: Vec<_> = labels.names.iter().zip(probabilities).map(label_score).collect();
        if let Some(error) = self.failure {
            return Err(error);
        }
        let (tokens, windows, truncated) = (coverage.tokens, coverage.windows, coverage.truncated);
        let mut found = Classification { tokens, windows, truncated, ..Classification::new(scores) };
        let likeliest = verdict::likeliest(found.scores.iter().map(|entry| entry.score));
        found.unsure = likeliest.is_some_and(|(index, score)| labels.are_unsure(index, score));
        if found.unsure {
            found.label = labels.unsure.clone();
        }
        Ok(found)
    }
}

/// Maximum number of tokens of a [`Batch`]. More rows than this do not reduce the time per token.
const BATCH_TOKENS: usize = 64;
/// Maximum number of windows of a [`Batch`].
const BATCH_WINDOWS: usize = 16;

/// Windows that wait to run together.
struct Batch {
    ids: Vec<u16>,
    /// For each window the end of its ids, the index of its text and its weight.
    windows: Vec<(usize, usize, f64)>,
    max_windows: usize,
    max_tokens: usize,
}

impl Batch {
    fn new(engine: &Engine) -> Self {
        let max_windows = engine.max_sequences().min(BATCH_WINDOWS);
        let ids = Vec::with_capacity(engine.max_tokens());
        let windows = Vec::with_capacity(max_windows);
        Self { ids, windows, max_windows, max_tokens: engine.max_tokens().min(BATCH_TOKENS) }
    }

    fn has_room(&self, tokens: usize) -> bool {
        let fits = || self.ids.len() + tokens <= self.max_tokens;
        self.windows.is_empty() || (self.windows.len() < self.max_windows && fits())
    }

    fn push(&mut self, ids: &[u16], text_index: usize, weight: f64) {
        self.ids.extend_from_slice(ids);
        self.windows.push((self.ids.len(), text_index, weight));
    }

    /// Runs the waiting windows and adds their results, or the error of the run, to the tallies of
    /// their texts.
    fn run(&mut self, engine: &mut Engine, tallies: &mut [Tally]) {
        let count = self.windows.len();
        if count == 0 {
            return;
        }
        let mut sequences = [&[][..]; BATCH_WINDOWS];
        let mut start = 0;
        for (sequence, (end, ..)) in sequences.iter_mut().zip(&self.windows) {
            *sequence = &self.ids[start..*end];
            start = *end;
        }
        match engine.run_packed(&sequences[..count]) {
            Ok(logits) => {
                let windows = logits.chunks_exact((logits.len() / count).max(1)).zip(&self.windows);
                for (logits, (_, text_index, weight)) in windows {
                    tallies[*text_index].add(logits, *weight);
                }
            }
            Err(error) => {
                for (_, text_index, _) in &self.windows {
                    tallies[*text_index].failure.get_or_insert_with(|| error.repeated());
                }
            }
        }
        self.ids.clear();
        self.windows.clear();
    }
}
