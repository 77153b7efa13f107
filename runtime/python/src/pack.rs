//! `electra_edge.pack`.

use std::path::PathBuf;

use electra_formats::Error as FileError;
use electra_formats::output_file::{Kind, OutputFile};
use electra_pack::Source;
use electra_pack::error::Error as PackError;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::errors::io_exception;

/// Write a model file from a Hugging Face folder with an ELECTRA model.
///
/// Args:
///     folder: a folder with config.json, vocab.txt and model.safetensors.
///     out: the model file. An existing model file is replaced as a whole; other files are refused.
///     name: the name in the model file; by default that of the folder.
///     language: the language in the model file, for example "en".
///
/// Raises:
///     ValueError: if something in the folder is unsupported. The message names file and field.
///     OSError: if a file cannot be read or written.
#[pyfunction]
#[pyo3(signature = (folder, out, *, name=None, language=None))]
pub(crate) fn pack(
    py: Python<'_>,
    folder: PathBuf,
    out: PathBuf,
    name: Option<String>,
    language: Option<String>,
) -> PyResult<()> {
    py.detach(|| {
        let target = OutputFile::new(&out, Kind::Model).map_err(|error| exception(&error))?;
        let packed = Source::new(folder).name(name).language(language).pack();
        let packed = packed.map_err(|error| match &error {
            PackError::File(error) => exception(error),
            error => PyValueError::new_err(error.to_string()),
        })?;
        target.write(&packed.bytes).map_err(|error| exception(&error))
    })
}

fn exception(error: &FileError) -> PyErr {
    match error {
        FileError::Read { source, .. } | FileError::Write { source, .. } => {
            io_exception(source, error.to_string())
        }
        error => PyValueError::new_err(error.to_string()),
    }
}
