//! `electra_edge.Detector`.

use std::path::{Path, PathBuf};

use electra::ModelFile;
use electra::tokenizer::CharacterOffsets;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::PyTuple;

use crate::batch;
use crate::errors::exception;
use crate::options::{EngineArguments, path_of, reduced, restored};
use crate::pool::Pool;
use crate::texts::Texts;

/// Finds the tokens of a text that look replaced. Several threads may use one detector.
///
/// The arguments and exceptions are those of `Classifier`. Without a path, the model is that of
/// ELECTRA_MODEL, or `electra-small-rtd` where the Debian package installed it or from a checkout.
/// This package does not contain it.
#[pyclass(frozen, module = "electra_edge")]
pub(crate) struct Detector {
    arguments: EngineArguments,
    file: ModelFile,
    arena_bytes: usize,
    /// Engines for one text at a time.
    single: Pool<electra::Detector>,
    /// Engines of one thread each for batches.
    batch: Pool<electra::Detector>,
}

#[pymethods]
impl Detector {
    #[new]
    #[pyo3(signature = (path=None, *, engine=None, threads=None, max_tokens=None, arena_bytes=None))]
    fn new(
        py: Python<'_>,
        path: Option<PathBuf>,
        engine: Option<&str>,
        threads: Option<i64>,
        max_tokens: Option<i64>,
        arena_bytes: Option<i64>,
    ) -> PyResult<Self> {
        let arguments = EngineArguments::new(path, engine, threads, max_tokens, arena_bytes)?;
        let made = py.detach(|| {
            let file = match &arguments.path {
                Some(path) => ModelFile::open(path),
                None => ModelFile::open_default_detector(),
            }?;
            let first = electra::Detector::new(&file, &arguments.for_one_text())?;
            let arena_bytes = first.engine().arena_bytes();
            let (single, batch) = (Pool::new(vec![first]), Pool::new(Vec::new()));
            Ok(Self { arguments, file, arena_bytes, single, batch })
        });
        made.map_err(|error| exception(&error))
    }

    /// Judge each token of one text.
    fn detect(&self, py: Python<'_>, text: PyBackedStr) -> PyResult<Detection> {
        let found = py.detach(|| {
            let make = || electra::Detector::new(&self.file, &self.arguments.for_one_text());
            let mut engine = self.single.take(make)?;
            Detection::new(&mut engine, &text)
        });
        found.map_err(|error| exception(&error))
    }

    /// Judge each token of many texts; `None` for a missing text.
    fn detect_batch(&self, texts: &Bound<'_, PyAny>) -> PyResult<Vec<Option<Detection>>> {
        let py = texts.py();
        let texts = Texts::from_python(texts)?;
        let options = self.arguments.for_batches();
        let make = || electra::Detector::new(&self.file, &options);
        let detect = |engine: &mut electra::Detector, texts: &[&str]| {
            texts.iter().map(|text| Detection::new(engine, text)).collect()
        };
        py.detach(|| batch::answers(&self.batch, self.arguments.batch_threads(), &texts, make, detect))
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

    fn __repr__(&self) -> String {
        format!("<electra_edge.Detector of {}>", self.file.path().display())
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        reduced(slf.get_type().as_any(), slf.get().arguments.to_python(slf.py())?)
    }
}

/// The verdicts on the tokens of one text.
#[pyclass(frozen, eq, module = "electra_edge")]
#[derive(PartialEq)]
pub(crate) struct Detection {
    verdicts: Vec<TokenVerdict>,
    /// The number of windows that were run; 1 unless the text is long.
    #[pyo3(get)]
    windows: usize,
}

impl Detection {
    fn new(engine: &mut electra::Detector, text: &str) -> Result<Self, electra::Error> {
        let found = engine.detect(text)?;
        let mut characters = CharacterOffsets::new(text);
        let verdict = |token: electra::TokenVerdict| TokenVerdict {
            start: characters.before(token.span.start),
            end: characters.before(token.span.end),
            replaced: token.is_replaced(),
            probability: token.probability,
            token: token.piece,
        };
        Ok(Self { verdicts: found.tokens.into_iter().map(verdict).collect(), windows: found.windows })
    }
}

#[pymethods]
impl Detection {
    /// One verdict per token, in the order of the text.
    #[getter]
    fn tokens(&self) -> Vec<TokenVerdict> {
        self.verdicts.clone()
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        let own = slf.get();
        restored(slf.get_type().as_any(), (own.verdicts.clone(), own.windows).into_pyobject(slf.py())?)
    }

    #[staticmethod]
    fn _restore(verdicts: Vec<Py<TokenVerdict>>, windows: usize) -> Self {
        Self { verdicts: verdicts.iter().map(|verdict| verdict.get().clone()).collect(), windows }
    }

    fn __repr__(&self) -> String {
        let replaced = self.verdicts.iter().filter(|verdict| verdict.replaced).count();
        format!("Detection({} tokens, {replaced} replaced)", self.verdicts.len())
    }
}

/// The verdict on one token.
#[pyclass(frozen, eq, module = "electra_edge")]
#[derive(Clone, PartialEq)]
pub(crate) struct TokenVerdict {
    /// The token as the vocabulary spells it.
    #[pyo3(get)]
    token: String,
    /// The first character of the text from which it comes.
    #[pyo3(get)]
    start: usize,
    /// The character after the last one.
    #[pyo3(get)]
    end: usize,
    /// The probability that the token was replaced, from 0 to 1.
    #[pyo3(get)]
    probability: f32,
    /// Whether the token was more likely replaced than not.
    #[pyo3(get)]
    replaced: bool,
}

#[pymethods]
impl TokenVerdict {
    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        let own = slf.get();
        let fields = (&*own.token, own.start, own.end, own.probability, own.replaced);
        restored(slf.get_type().as_any(), fields.into_pyobject(slf.py())?)
    }

    #[staticmethod]
    fn _restore(token: String, start: usize, end: usize, probability: f32, replaced: bool) -> Self {
        Self { token, start, end, probability, replaced }
    }

    fn __repr__(&self) -> String {
        let Self { token, start, end, probability, .. } = self;
        format!("TokenVerdict(token={token:?}, start={start}, end={end}, probability={probability:.4})")
    }
}
