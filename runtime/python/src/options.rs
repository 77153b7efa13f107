//! Arguments that several classes share.

use std::path::{Path, PathBuf};
use std::thread;

use electra::{EngineKind, EngineOptions, ModelFile};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::errors::exception;

/// Sequences that share a run of an engine for batches. More do not reduce the time per token.
const SEQUENCES: usize = 8;

/// Arguments of the engines of a classifier or a detector.
#[derive(Clone, Debug)]
pub(crate) struct EngineArguments {
    pub path: Option<PathBuf>,
    pub engine: EngineKind,
    pub threads: Option<usize>,
    pub max_tokens: Option<usize>,
    pub arena_bytes: Option<usize>,
}

impl EngineArguments {
    /// Checks the arguments. A relative path becomes absolute, so that an object can be pickled for
    /// a process with another working directory.
    pub(crate) fn new(
        path: Option<PathBuf>,
        engine: Option<&str>,
        threads: Option<i64>,
        max_tokens: Option<i64>,
        arena_bytes: Option<i64>,
    ) -> PyResult<Self> {
        Ok(Self {
            path: path.map(|path| std::path::absolute(&path).unwrap_or(path)),
            engine: kind(engine)?,
            threads: count("threads", threads)?,
            max_tokens: count("max_tokens", max_tokens)?,
            arena_bytes: count("arena_bytes", arena_bytes)?,
        })
    }

    /// Returns the options of an engine that runs one text at a time on all threads, or on as many
    /// as can share a text.
    pub(crate) fn for_one_text(&self) -> EngineOptions {
        self.common().threads(self.threads.map(|threads| threads.min(electra::MAX_WORKERS)))
    }

    /// Returns the options of an engine that runs short texts together on one thread. An arena of a
    /// given size holds one text at a time.
    pub(crate) fn for_batches(&self) -> EngineOptions {
        let sequences = if self.arena_bytes.is_none() { Some(SEQUENCES) } else { None };
        self.common().max_sequences(sequences)
    }

    /// Returns the arguments by name, as the constructor in Python takes them.
    pub(crate) fn to_python<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let arguments = PyDict::new(py);
        arguments.set_item("path", &self.path)?;
        arguments.set_item("engine", self.engine.name())?;
        arguments.set_item("threads", self.threads)?;
        arguments.set_item("max_tokens", self.max_tokens)?;
        arguments.set_item("arena_bytes", self.arena_bytes)?;
        Ok(arguments)
    }

    fn common(&self) -> EngineOptions {
        EngineOptions::new().engine(self.engine).max_tokens(self.max_tokens).arena_bytes(self.arena_bytes)
    }

    /// Returns the number of threads for a batch: as many as were asked for, or one per core.
    pub(crate) fn batch_threads(&self) -> usize {
        self.threads.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from))
    }
}

/// Opens the model at `path`, or the default model.
pub(crate) fn open_model(path: Option<&Path>) -> PyResult<ModelFile> {
    let opened = match path {
        Some(path) => ModelFile::open(path),
        None => ModelFile::open_default(),
    };
    opened.map_err(|error| exception(&error))
}

/// Checks an argument that counts something.
pub(crate) fn count(name: &str, found: Option<i64>) -> PyResult<Option<usize>> {
    let Some(found) = found else { return Ok(None) };
    match usize::try_from(found) {
        Ok(number) if number > 0 => Ok(Some(number)),
        _ => Err(PyValueError::new_err(format!("{name} is {found}, expected at least 1"))),
    }
}

/// Returns the path of a model file; `None` for the model in this package.
pub(crate) fn path_of(file: &ModelFile) -> Option<&Path> {
    Some(file.path()).filter(|path| path.is_absolute() || path.exists())
}

fn kind(name: Option<&str>) -> PyResult<EngineKind> {
    let Some(name) = name else { return Ok(EngineKind::default()) };
    EngineKind::ALL.iter().copied().find(|kind| kind.name() == name).ok_or_else(|| {
        let known: Vec<_> = EngineKind::ALL.iter().map(|kind| kind.name()).collect();
        PyValueError::new_err(format!("engine is {name:?}, expected {}", known.join(" or ")))
    })
}

/// Returns the result of `__reduce__` for an object that `class(**arguments)` makes again.
pub(crate) fn reduced<'py>(
    class: &Bound<'py, PyAny>,
    arguments: Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyTuple>> {
    let py = class.py();
    let make = py.import("functools")?.getattr("partial")?.call((class,), Some(&arguments))?;
    (make, PyTuple::empty(py)).into_pyobject(py)
}

/// Returns the result of `__reduce__` for an answer that `class._restore(*fields)` makes again.
pub(crate) fn restored<'py>(
    class: &Bound<'py, PyAny>,
    fields: Bound<'py, PyTuple>,
) -> PyResult<Bound<'py, PyTuple>> {
    (class.getattr("_restore")?, fields).into_pyobject(class.py())
}
