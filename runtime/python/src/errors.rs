//! Conversion of errors to Python exceptions. Their text is that of the command `electra`.

use std::io;

use electra::Error;
use pyo3::PyErr;
use pyo3::create_exception;
use pyo3::exceptions::{
    PyFileNotFoundError, PyMemoryError, PyOSError, PyPermissionError, PyRuntimeError, PyValueError,
};

create_exception!(
    electra_edge,
    ModelError,
    PyValueError,
    "The file is not a model, is damaged, or has another head than the call needs."
);

/// Converts an error of the library.
pub(crate) fn exception(error: &Error) -> PyErr {
    let message = error.to_string();
    match error {
        Error::Io { source, .. } => io_exception(source, message),
        Error::NoDefaultModel { .. } => PyFileNotFoundError::new_err(message),
        Error::Model { .. } | Error::Head { .. } => ModelError::new_err(message),
        Error::OutOfMemory { .. } => PyMemoryError::new_err(message),
        Error::Thread(_) | Error::Pinning { .. } => PyOSError::new_err(message),
        Error::Run(_) | Error::Engine(_) => PyRuntimeError::new_err(message),
        _ => PyValueError::new_err(message),
    }
}

/// Returns the exception for an error of the system, with `message` as its text.
pub(crate) fn io_exception(error: &io::Error, message: String) -> PyErr {
    match error.kind() {
        io::ErrorKind::NotFound => PyFileNotFoundError::new_err(message),
        io::ErrorKind::PermissionDenied => PyPermissionError::new_err(message),
        _ => PyOSError::new_err(message),
    }
}
