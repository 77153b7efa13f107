//! `electra_edge.footprint`.

use std::path::PathBuf;

use electra::arena_bytes;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::options::{count, open_model};

/// Return the memory that a model needs, in bytes.
///
/// The keys are "model_bytes", "sections" (bytes by section of the file), "max_tokens" and
/// "arena_bytes", the size of the memory arena for sequences of `max_tokens` tokens.
#[pyfunction]
#[pyo3(signature = (path=None, *, max_tokens=None))]
pub(crate) fn footprint(
    py: Python<'_>,
    path: Option<PathBuf>,
    max_tokens: Option<i64>,
) -> PyResult<Bound<'_, PyDict>> {
    let file = open_model(path.as_deref())?;
    let model = file.model();
    let positions = model.config().max_position_embeddings;
    let max_tokens = count("max_tokens", max_tokens)?.unwrap_or(positions);
    if !(3..=positions).contains(&max_tokens) {
        let error = electra::Error::MaxTokens { found: max_tokens, max: positions };
        return Err(PyValueError::new_err(error.to_string()));
    }
    let sections = PyDict::new(py);
    for section in model.sections() {
        sections.set_item(section.kind.name(), section.bytes.len())?;
    }
    let report = PyDict::new(py);
    report.set_item("model_bytes", model.file_len())?;
    report.set_item("sections", sections)?;
    report.set_item("max_tokens", max_tokens)?;
    report.set_item("arena_bytes", arena_bytes(model.config(), max_tokens))?;
    Ok(report)
}
