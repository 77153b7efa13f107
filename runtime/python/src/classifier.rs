//! `electra_edge.Classifier`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use electra::{ClassifierOptions, LabelScore, ModelFile};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{PyDict, PyTuple};

use crate::arrow::ArrowAnswers;
use crate::batch;
use crate::errors::exception;
use crate::options::{EngineArguments, open_model, path_of, reduced, restored};
use crate::pool::Pool;
use crate::texts::Texts;

/// Assigns a label to a text.
///
/// Several threads may use one classifier. Each call that runs at the same time as others gets an
/// engine of its own. A pickled classifier opens its model again by its path.
///
/// Args:
///     path: the model file. `None` stands for the file that the environment variable ELECTRA_MODEL
///         names, or for the model in this package.
///     engine: one of `ENGINES`. All give the same answers, bit for bit.
///     threads: the number of threads of each call. `classify` shares one text among them, at most
///         8, and `classify_batch` gives each thread texts of its own. By default `classify` uses
///         one thread, and `classify_batch` one per processor core.
///     max_tokens: the longest sequence in tokens, with [CLS] and [SEP]; by default the positions
///         of the model. Longer texts are processed in overlapping windows.
///     arena_bytes: the size of the memory arena of each engine in bytes; by default exactly the
///         size that `max_tokens` needs. A smaller arena is refused.
///     truncate: whether a long text is cut instead of processed in windows.
///     without: labels that are never the answer. The probabilities of the others are divided by
///         their sum.
///     min_score: the smallest score of an answer, from 0 to 1. If the likeliest label has a lower
///         score, the label is "UNSURE". By default the thresholds in the model file apply.
///
/// Raises:
///     FileNotFoundError: if there is no such file.
///     ModelError: if the file is not a model for classification, or is damaged.
///     ValueError: if an argument is out of range. The message says what is expected.
///
/// >>> Classifier().classify("ELECTRA is surprisingly fast and accurate.").label
/// 'POSITIVE'
#[pyclass(frozen, module = "electra_edge")]
pub(crate) struct Classifier {
    arguments: EngineArguments,
    truncate: bool,
    without: Vec<String>,
    min_score: Option<f32>,
    file: ModelFile,
    labels: Vec<Arc<str>>,
    arena_bytes: usize,
    /// Engines for one text at a time.
    single: Pool<electra::Classifier>,
    /// Engines of one thread each for batches.
    batch: Pool<electra::Classifier>,
}

#[pymethods]
impl Classifier {
    #[new]
    #[pyo3(signature = (path=None, *, engine=None, threads=None, max_tokens=None, arena_bytes=None, truncate=false, without=None, min_score=None))]
    #[allow(clippy::too_many_arguments)] // They are keywords in Python.
    fn new(
        py: Python<'_>,
        path: Option<PathBuf>,
        engine: Option<&str>,
        threads: Option<i64>,
        max_tokens: Option<i64>,
        arena_bytes: Option<i64>,
        truncate: bool,
        without: Option<Vec<String>>,
        min_score: Option<f32>,
    ) -> PyResult<Self> {
        let without = without.unwrap_or_default();
        let arguments = EngineArguments::new(path, engine, threads, max_tokens, arena_bytes)?;
        py.detach(|| {
            let file = open_model(arguments.path.as_deref())?;
            let options =
                ClassifierOptions::new().truncate(truncate).without(without.clone()).min_score(min_score);
            let first = electra::Classifier::new(&file, &options.engine(arguments.for_one_text()))
                .map_err(|error| exception(&error))?;
            let labels = first.labels().to_vec();
            let arena_bytes = first.engine().arena_bytes();
            let (single, batch) = (Pool::new(vec![first]), Pool::new(Vec::new()));
            Ok(Self { arguments, truncate, without, min_score, file, labels, arena_bytes, single, batch })
        })
    }

    /// Classify one text.
    fn classify(&self, py: Python<'_>, text: PyBackedStr) -> PyResult<Classification> {
        let answer = py.detach(|| {
            let options = || self.options().engine(self.arguments.for_one_text());
            self.single.take(|| electra::Classifier::new(&self.file, &options()))?.classify(&text)
        });
        answer.map(Classification).map_err(|error| exception(&error))
    }

    /// Classify many texts. Short texts run together, which is faster than single calls.
    ///
    /// Args:
    ///     texts: an iterable of `str`, a NumPy array or a pandas column of strings, or an Arrow
    ///         array or stream of strings. The texts of Arrow are not copied.
    ///
    /// Returns:
    ///     One answer per text, in order; `None` for a missing text.
    ///
    /// Raises:
    ///     TypeError: if an item is not a text. The message names its index.
    ///     KeyboardInterrupt: after Ctrl-C.
    fn classify_batch(&self, texts: &Bound<'_, PyAny>) -> PyResult<Vec<Option<Classification>>> {
        let answers = self.answers(texts)?;
        Ok(answers.into_iter().map(|answer| answer.map(Classification)).collect())
    }

    /// Classify many texts as `classify_batch` does, and return the answers in Arrow's layout.
    fn classify_arrow(&self, texts: &Bound<'_, PyAny>) -> PyResult<ArrowAnswers> {
        ArrowAnswers::new(&self.labels, &self.answers(texts)?)
    }

    /// The labels that can be answers, in the order of the model.
    #[getter]
    fn labels(&self) -> Vec<&str> {
        self.labels.iter().map(|label| &**label).collect()
    }

    /// The path of the model file; `None` for the model in this package.
    #[getter]
    fn path(&self) -> Option<&Path> {
        path_of(&self.file)
    }

    /// The size of the memory arena of the engine for single texts in bytes.
    #[getter]
    fn arena_bytes(&self) -> usize {
        self.arena_bytes
    }

    /// The longest sequence in tokens, with [CLS] and [SEP].
    #[getter]
    fn max_tokens(&self) -> usize {
        self.arguments.max_tokens.unwrap_or(self.file.model().config().max_position_embeddings)
    }

    /// The name of the engine.
    #[getter]
    fn engine(&self) -> &'static str {
        self.arguments.engine.name()
    }

    fn __repr__(&self) -> String {
        format!("<electra_edge.Classifier of {}>", self.file.path().display())
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        let own = slf.get();
        let arguments = own.arguments.to_python(slf.py())?;
        arguments.set_item("truncate", own.truncate)?;
        arguments.set_item("without", &own.without)?;
        arguments.set_item("min_score", own.min_score)?;
        reduced(slf.get_type().as_any(), arguments)
    }
}

impl Classifier {
    fn options(&self) -> ClassifierOptions {
        ClassifierOptions::new()
            .truncate(self.truncate)
            .without(self.without.clone())
            .min_score(self.min_score)
    }

    /// Returns one answer per text, and `None` for a missing text.
    fn answers(&self, texts: &Bound<'_, PyAny>) -> PyResult<Vec<Option<electra::Classification>>> {
        let py = texts.py();
        let texts = Texts::from_python(texts)?;
        let options = self.options().engine(self.arguments.for_batches());
        let make = || electra::Classifier::new(&self.file, &options);
        let classify = |engine: &mut electra::Classifier, texts: &[&str]| engine.classify_all(texts);
        py.detach(|| batch::answers(&self.batch, self.arguments.batch_threads(), &texts, make, classify))
    }
}

/// The answer to one text.
#[pyclass(frozen, eq, module = "electra_edge")]
#[derive(PartialEq)]
pub(crate) struct Classification(electra::Classification);

#[pymethods]
impl Classification {
    /// The likeliest label, or "UNSURE" if its score is too low.
    #[getter]
    fn label(&self) -> &str {
        &self.0.label
    }

    /// Whether the score is too low for an answer.
    #[getter]
    fn unsure(&self) -> bool {
        self.0.unsure
    }

    /// The probability of the likeliest label, from 0 to 1.
    #[getter]
    fn score(&self) -> f32 {
        self.0.score
    }

    /// The probability of each label, the likeliest first. They add up to 1.
    #[getter]
    fn scores<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let scores = PyDict::new(py);
        for entry in self.0.ranked() {
            scores.set_item(&*entry.label, entry.score)?;
        }
        Ok(scores)
    }

    /// The number of tokens that were run, without [CLS] and [SEP].
    #[getter]
    fn tokens(&self) -> usize {
        self.0.tokens
    }

    /// The number of windows that were run; 1 unless the text is long.
    #[getter]
    fn windows(&self) -> usize {
        self.0.windows
    }

    /// Whether the text was cut.
    #[getter]
    fn truncated(&self) -> bool {
        self.0.truncated
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        let own = &slf.get().0;
        let scores: Vec<_> = own.scores.iter().map(|entry| (&*entry.label, entry.score)).collect();
        let fields = (scores, own.tokens, own.windows, own.truncated, own.unsure).into_pyobject(slf.py())?;
        restored(slf.get_type().as_any(), fields)
    }

    #[staticmethod]
    fn _restore(
        scores: Vec<(String, f32)>,
        tokens: usize,
        windows: usize,
        truncated: bool,
        unsure: bool,
    ) -> Self {
        let entry = |(label, score): (String, f32)| LabelScore { label: label.into(), score };
        let mut own = electra::Classification::new(scores.into_iter().map(entry).collect());
        (own.tokens, own.windows, own.truncated, own.unsure) = (tokens, windows, truncated, unsure);
        if unsure {
            own.label = electra::UNSURE.into();
        }
        Self(own)
    }

    fn __repr__(&self) -> String {
        format!("Classification(label={:?}, score={:.4})", self.0.label, self.0.score)
    }
}
