//! `electra_edge.Tokenizer`.

use std::path::PathBuf;

use electra::ModelFile;
use electra::tokenizer::CharacterOffsets;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{PyDict, PyTuple};

use crate::options::{open_model, reduced, restored};

/// Divides texts into the tokens of a model, which is opened as `Classifier` does.
#[pyclass(frozen, module = "electra_edge")]
pub(crate) struct Tokenizer {
    path: Option<PathBuf>,
    file: ModelFile,
}

#[pymethods]
impl Tokenizer {
    #[new]
    #[pyo3(signature = (path=None))]
    fn new(path: Option<PathBuf>) -> PyResult<Self> {
        let path = path.map(|path| std::path::absolute(&path).unwrap_or(path));
        let file = open_model(path.as_deref())?;
        Ok(Self { path, file })
    }

    /// Divide a text into tokens, without [CLS] and [SEP].
    fn tokenize(&self, py: Python<'_>, text: PyBackedStr) -> PyResult<Vec<Token>> {
        py.detach(|| {
            let pieces = self.file.tokenizer().pieces(&text);
            let pieces = pieces.map_err(|error| PyValueError::new_err(error.to_string()))?;
            let mut characters = CharacterOffsets::new(&text);
            let token = |token: electra::tokenizer::Token| Token {
                id: token.id,
                token: self.file.model().vocabulary().token(token.id).unwrap_or_default().to_owned(),
                start: characters.before(token.start as usize),
                end: characters.before(token.end as usize),
            };
            Ok(pieces.map(token).collect())
        })
    }

    /// Return the token ids that the model reads, with [CLS] and [SEP].
    fn encode(&self, py: Python<'_>, text: PyBackedStr) -> PyResult<Vec<u16>> {
        py.detach(|| {
            let special = self.file.model().vocabulary().special();
            let pieces = self.file.tokenizer().pieces(&text);
            let pieces = pieces.map_err(|error| PyValueError::new_err(error.to_string()))?;
            let ids = std::iter::once(special.cls).chain(pieces.map(|token| token.id));
            Ok(ids.chain(std::iter::once(special.sep)).collect())
        })
    }

    /// The number of tokens of the vocabulary.
    fn __len__(&self) -> usize {
        self.file.model().vocabulary().len()
    }

    fn __repr__(&self) -> String {
        format!("<electra_edge.Tokenizer of {}>", self.file.path().display())
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        let arguments = PyDict::new(slf.py());
        arguments.set_item("path", &slf.get().path)?;
        reduced(slf.get_type().as_any(), arguments)
    }
}

/// One token of a text.
#[pyclass(frozen, eq, module = "electra_edge")]
#[derive(PartialEq)]
pub(crate) struct Token {
    /// Its number in the vocabulary.
    #[pyo3(get)]
    id: u16,
    /// The token as the vocabulary spells it.
    #[pyo3(get)]
    token: String,
    /// The first character of the text from which it comes.
    #[pyo3(get)]
    start: usize,
    /// The character after the last one.
    #[pyo3(get)]
    end: usize,
}

#[pymethods]
impl Token {
    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        let own = slf.get();
        let fields = (own.id, &*own.token, own.start, own.end).into_pyobject(slf.py())?;
        restored(slf.get_type().as_any(), fields)
    }

    #[staticmethod]
    fn _restore(id: u16, token: String, start: usize, end: usize) -> Self {
        Self { id, token, start, end }
    }

    fn __repr__(&self) -> String {
        let Self { id, token, start, end } = self;
        format!("Token(id={id}, token={token:?}, start={start}, end={end})")
    }
}
