//! Import of text columns and export of answers through the Arrow C data interface
//! (<https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html>).
#![allow(unsafe_code)]

use std::ffi::{CStr, c_int};
use std::ptr::NonNull;
use std::sync::Arc;

use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi, to_ffi};
use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::{
    Array, ArrayRef, Float32Array, LargeStringArray, StringArray, StringViewArray, StructArray, make_array,
    new_empty_array,
};
use arrow_schema::{ArrowError, DataType, Field, Fields};
use electra::Classification;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyTuple};

const SCHEMA: &CStr = c"arrow_schema";
const ARRAY: &CStr = c"arrow_array";
const STREAM: &CStr = c"arrow_array_stream";

/// A column of texts in one of the three layouts of Arrow.
pub(crate) enum StringColumn {
    Offsets32(StringArray),
    Offsets64(LargeStringArray),
    Views(StringViewArray),
    /// Only missing texts.
    Nulls(usize),
}

impl StringColumn {
    fn new(array: &dyn Array) -> PyResult<Self> {
        let any = array.as_any();
        let column = match array.data_type() {
            DataType::Utf8 => any.downcast_ref().cloned().map(Self::Offsets32),
            DataType::LargeUtf8 => any.downcast_ref().cloned().map(Self::Offsets64),
            DataType::Utf8View => any.downcast_ref().cloned().map(Self::Views),
            DataType::Null => Some(Self::Nulls(array.len())),
            DataType::Struct(_) => {
                let problem = "texts is a table, expected one column, for example table[\"text\"]";
                return Err(PyTypeError::new_err(problem));
            }
            _ => None,
        };
        column.ok_or_else(|| {
            PyTypeError::new_err(format!(
                "texts is an Arrow array of {}, expected strings; convert it, in pandas with \
                 .astype(str), in pyarrow with .cast(\"string\")",
                array.data_type()
            ))
        })
    }

    pub(crate) fn iter(&self) -> Box<dyn Iterator<Item = Option<&str>> + '_> {
        match self {
            Self::Offsets32(column) => Box::new(column.iter()),
            Self::Offsets64(column) => Box::new(column.iter()),
            Self::Views(column) => Box::new(column.iter()),
            Self::Nulls(length) => Box::new(std::iter::repeat_n(None, *length)),
        }
    }
}

/// Imports an object with `__arrow_c_array__` or `__arrow_c_stream__`. Returns `None` for other
/// objects.
pub(crate) fn import(object: &Bound<'_, PyAny>) -> PyResult<Option<Vec<StringColumn>>> {
    let py = object.py();
    if object.hasattr(intern!(py, "__arrow_c_array__"))? {
        let capsules = object.call_method0(intern!(py, "__arrow_c_array__"))?;
        let (schema, array): (Bound<'_, PyCapsule>, Bound<'_, PyCapsule>) = capsules.extract()?;
        let (schema, array) = (pointer(&schema, SCHEMA)?, pointer(&array, ARRAY)?);
        // SAFETY: a capsule of this name points to such a structure, which `from_raw` moves out of
        // it, as the interface demands of a consumer.
        let (schema, array) =
            unsafe { (FFI_ArrowSchema::from_raw(schema.as_ptr()), FFI_ArrowArray::from_raw(array.as_ptr())) };
        return Ok(Some(vec![column(array, &schema)?]));
    }
    if object.hasattr(intern!(py, "__arrow_c_stream__"))? {
        let capsule = object.call_method0(intern!(py, "__arrow_c_stream__"))?;
        let stream = pointer(capsule.cast::<PyCapsule>()?, STREAM)?;
        // SAFETY: as above.
        let stream = unsafe { FFI_ArrowArrayStream::from_raw(stream.as_ptr()) };
        return Ok(Some(columns(stream)?));
    }
    Ok(None)
}

fn pointer<T>(capsule: &Bound<'_, PyCapsule>, name: &CStr) -> PyResult<NonNull<T>> {
    Ok(capsule.pointer_checked(Some(name))?.cast())
}

fn column(array: FFI_ArrowArray, schema: &FFI_ArrowSchema) -> PyResult<StringColumn> {
    // SAFETY: the producer promises that array and schema describe valid memory.
    let data = unsafe { from_ffi(array, schema) }.map_err(exception)?;
    if data.is_empty() {
        // An empty slice may have offsets without their buffer, which validation refuses.
        return StringColumn::new(&new_empty_array(data.data_type()));
    }
    // The runtime relies on UTF-8, which the producer may have got wrong.
    data.validate_full().map_err(exception)?;
    StringColumn::new(&make_array(data))
}

/// Reads all arrays of a stream.
fn columns(mut stream: FFI_ArrowArrayStream) -> PyResult<Vec<StringColumn>> {
    let released = || PyValueError::new_err("texts is an Arrow stream that was read already");
    let (get_schema, get_next) = stream.get_schema.zip(stream.get_next).ok_or_else(released)?;
    let mut schema = FFI_ArrowSchema::empty();
    // SAFETY: the stream is not released, and the schema is valid for writing.
    let code = unsafe { get_schema(&raw mut stream, &raw mut schema) };
    expect_success(&mut stream, code)?;
    let mut columns = Vec::new();
    loop {
        let mut array = FFI_ArrowArray::empty();
        // SAFETY: the stream is not released, and the array is valid for writing.
        let code = unsafe { get_next(&raw mut stream, &raw mut array) };
        expect_success(&mut stream, code)?;
        if array.is_released() {
            return Ok(columns);
        }
        columns.push(column(array, &schema)?);
    }
}

fn expect_success(stream: &mut FFI_ArrowArrayStream, code: c_int) -> PyResult<()> {
    if code == 0 {
        return Ok(());
    }
    let mut message = format!("error {code}");
    if let Some(get_last_error) = stream.get_last_error {
        // SAFETY: the stream is not released, and its last call failed.
        let text = unsafe { get_last_error(&raw mut *stream) };
        if !text.is_null() {
            // SAFETY: the string ends with a NUL and is valid until the next call.
            message = unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned();
        }
    }
    Err(PyValueError::new_err(format!("texts: the Arrow stream failed: {message}")))
}

/// Answers as an Arrow array of structures.
///
/// The fields are `label` (string), `score` (float32) and `scores` (a structure with one float32
/// per label). Each is null for a missing text. `pyarrow.record_batch(answers)` and other readers
/// of the Arrow C data interface take it without a copy.
#[pyclass(frozen, module = "electra_edge")]
pub(crate) struct ArrowAnswers(StructArray);

impl ArrowAnswers {
    /// Converts answers. `None` stands for a missing text and becomes a null in each field.
    pub(crate) fn new(labels: &[Arc<str>], answers: &[Option<Classification>]) -> PyResult<Self> {
        let score = |answer: &Option<Classification>| answer.as_ref().map(|answer| answer.score);
        let label = |answer: &Option<Classification>| answer.as_ref().map(|answer| answer.label.clone());
        let of_label = |index: usize| -> ArrayRef {
            let scores = answers.iter().map(|answer| Some(answer.as_ref()?.scores.get(index)?.score));
            Arc::new(scores.collect::<Float32Array>())
        };
        let names: Fields = labels.iter().map(|name| Field::new(&**name, DataType::Float32, true)).collect();
        let scores = (0..labels.len()).map(of_label).collect();
        let found_labels: StringArray = answers.iter().map(label).collect();
        let missing = found_labels.nulls().cloned();
        let scores = StructArray::try_new(names.clone(), scores, missing).map_err(exception)?;
        let fields: Fields = [
            Field::new("label", DataType::Utf8, true),
            Field::new("score", DataType::Float32, true),
            Field::new("scores", DataType::Struct(names), true),
        ]
        .into_iter()
        .collect();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(found_labels),
            Arc::new(answers.iter().map(score).collect::<Float32Array>()),
            Arc::new(scores),
        ];
        Ok(Self(StructArray::try_new(fields, columns, None).map_err(exception)?))
    }
}

#[pymethods]
impl ArrowAnswers {
    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        let schema = FFI_ArrowSchema::try_from(self.0.data_type()).map_err(exception)?;
        PyCapsule::new_with_value(py, schema, SCHEMA)
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        // The interface lets a producer ignore a schema that it cannot convert to.
        let _ = requested_schema;
        let (array, schema) = to_ffi(&self.0.to_data()).map_err(exception)?;
        let schema = PyCapsule::new_with_value(py, schema, SCHEMA)?;
        let array = PyCapsule::new_with_value(py, array, ARRAY)?;
        PyTuple::new(py, [schema, array])
    }

    fn __repr__(&self) -> String {
        format!("<electra_edge.ArrowAnswers of {} texts>", self.0.len())
    }
}

fn exception(error: ArrowError) -> PyErr {
    PyValueError::new_err(format!("texts: {error}"))
}
