//! Texts from Python: any iterable of `str`, NumPy arrays and pandas Series among them, or an Arrow
//! array.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{PyDict, PyFloat, PyString};

use crate::arrow::{self, StringColumn};

/// Texts that outlive the lock of the interpreter. They keep the objects of Python alive.
pub(crate) enum Texts {
    Strings(Vec<Option<PyBackedStr>>),
    Arrow(Vec<StringColumn>),
}

impl Texts {
    /// Reads the argument `texts` of a call.
    pub(crate) fn from_python(texts: &Bound<'_, PyAny>) -> PyResult<Self> {
        if texts.is_instance_of::<PyString>() {
            return Err(PyTypeError::new_err("texts is a str, expected a list of str; put it into [...]"));
        }
        if texts.is_instance_of::<PyDict>() {
            return Err(PyTypeError::new_err("texts is a dict, expected a list of str"));
        }
        if let Some(columns) = arrow::import(texts)? {
            return Ok(Self::Arrow(columns));
        }
        let Ok(items) = texts.try_iter() else {
            let problem = format!("texts is {}, expected an iterable of str", type_name(texts));
            return Err(PyTypeError::new_err(problem));
        };
        let strings = items.enumerate().map(|(index, item)| string(index, &item?));
        Ok(Self::Strings(strings.collect::<PyResult<_>>()?))
    }

    /// Returns all texts in order; `None` for a missing one.
    pub(crate) fn all(&self) -> Vec<Option<&str>> {
        match self {
            Self::Strings(strings) => strings.iter().map(|text| text.as_deref()).collect(),
            Self::Arrow(columns) => columns.iter().flat_map(StringColumn::iter).collect(),
        }
    }
}

fn string(index: usize, item: &Bound<'_, PyAny>) -> PyResult<Option<PyBackedStr>> {
    if let Ok(text) = item.cast::<PyString>() {
        let backed = PyBackedStr::try_from(text.clone());
        return backed
            .map(Some)
            .map_err(|error| PyValueError::new_err(format!("texts[{index}]: {}", error.value(item.py()))));
    }
    // pandas has several objects for a missing text: NaN, NA and NaT.
    let is_missing = item.is_none()
        || item.cast::<PyFloat>().is_ok_and(|number| number.value().is_nan())
        || matches!(&*type_name(item), "NAType" | "NaTType");
    if is_missing {
        return Ok(None);
    }
    Err(PyTypeError::new_err(format!("texts[{index}] is {}, expected str", type_name(item))))
}

fn type_name(object: &Bound<'_, PyAny>) -> String {
    object.get_type().name().map_or_else(|_| "an object".to_owned(), |name| name.to_string())
}
