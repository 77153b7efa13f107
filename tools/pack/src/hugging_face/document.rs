//! Small files read whole, and fields of JSON objects with errors that name file and field.

use std::fs::{self, File};
use std::io::{Read, Take};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::error::Error;

/// Largest JSON or vocabulary file that is read; real ones have a few megabytes at most.
const MAX_TEXT_FILE: u64 = 256 << 20;
/// Largest file of weights that is read: ELECTRA-Large in f32 has 1.3 GB.
pub(crate) const MAX_WEIGHT_FILE: u64 = 16 << 30;

pub(crate) fn read_bytes(file: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    open(file, limit)?.read_to_end(&mut bytes).map_err(|source| Error::read(file, source))?;
    Ok(bytes)
}

/// Opens a regular file of 1 to `limit` bytes.
///
/// Checking first keeps a folder, a pipe or a device under the expected name from being opened.
pub(crate) fn open(file: &Path, limit: u64) -> Result<Take<File>, Error> {
    let metadata = fs::metadata(file).map_err(|source| Error::read(file, source))?;
    if !metadata.is_file() {
        let found = if metadata.is_dir() { "a folder" } else { "neither file nor folder" };
        return Err(Error::field(file, "path", found, "a file"));
    }
    if metadata.len() == 0 || metadata.len() > limit {
        let found = format!("{} bytes", metadata.len());
        return Err(Error::field(file, "size", found, format!("1 to {limit} bytes")));
    }
    let opened = File::open(file).map_err(|source| Error::read(file, source))?;
    Ok(opened.take(limit))
}

pub(crate) fn read_text(file: &Path) -> Result<String, Error> {
    String::from_utf8(read_bytes(file, MAX_TEXT_FILE)?).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        Error::field(file, format!("byte {offset}"), "no valid UTF-8", "text in UTF-8")
    })
}

/// A JSON file whose top level is an object.
pub(crate) struct Document {
    pub(crate) file: PathBuf,
    fields: Map<String, Value>,
}

impl Document {
    pub(crate) fn read(file: PathBuf) -> Result<Self, Error> {
        let text = read_text(&file)?;
        match serde_json::from_str(&text) {
            Ok(Value::Object(fields)) => Ok(Self { file, fields }),
            Ok(other) => Err(Error::field(&file, "top level", other.to_string(), "a JSON object")),
            Err(source) => Err(Error::json(&file, source)),
        }
    }

    pub(crate) fn root(&self) -> Object<'_> {
        Object { file: &self.file, path: String::new(), fields: &self.fields }
    }
}

/// One JSON object inside a [`Document`]. A field that is `null` counts as absent, as in Hugging Face's own readers.
pub(crate) struct Object<'a> {
    file: &'a Path,
    path: String,
    fields: &'a Map<String, Value>,
}

impl<'a> Object<'a> {
    pub(crate) fn get(&self, name: &str) -> Option<&'a Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    pub(crate) fn entries(&self) -> impl ExactSizeIterator<Item = (&'a String, &'a Value)> + use<'a> {
        self.fields.iter()
    }

    /// The error for field `name` as it stands.
    pub(crate) fn refuse(&self, name: &str, expected: impl Into<String>) -> Error {
        let found = self.get(name).map_or_else(|| "nothing".to_owned(), Value::to_string);
        Error::field(self.file, format!("{}{name}", self.path), found, expected)
    }

    pub(crate) fn object(&self, name: &str) -> Result<Option<Object<'a>>, Error> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Object(fields)) => {
                Ok(Some(Object { file: self.file, path: format!("{}{name}.", self.path), fields }))
            }
            Some(_) => Err(self.refuse(name, "an object")),
        }
    }

    pub(crate) fn required_object(&self, name: &str) -> Result<Object<'a>, Error> {
        self.object(name)?.ok_or_else(|| self.refuse(name, "an object"))
    }

    pub(crate) fn array(&self, name: &str) -> Result<&'a [Value], Error> {
        match self.get(name) {
            None => Ok(&[]),
            Some(Value::Array(values)) => Ok(values),
            Some(_) => Err(self.refuse(name, "an array")),
        }
    }

    pub(crate) fn unsigned(&self, name: &str) -> Result<Option<usize>, Error> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let number = value.as_u64().and_then(|number| usize::try_from(number).ok());
        number.map(Some).ok_or_else(|| self.refuse(name, "a whole number, not negative"))
    }

    pub(crate) fn number(&self, name: &str) -> Result<Option<f64>, Error> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        value.as_f64().map(Some).ok_or_else(|| self.refuse(name, "a number"))
    }

    /// Refuses field `name` unless it is absent or one of `accepted`.
    pub(crate) fn allow(&self, name: &str, accepted: &[Value]) -> Result<(), Error> {
        match self.get(name) {
            Some(value) if !accepted.contains(value) => Err(self.refuse(name, alternatives(accepted))),
            _ => Ok(()),
        }
    }

    /// Refuses field `name` unless it is there and `accepted`.
    pub(crate) fn require(&self, name: &str, accepted: &Value) -> Result<(), Error> {
        if self.get(name) == Some(accepted) {
            return Ok(());
        }
        Err(self.refuse(name, accepted.to_string()))
    }
}

fn alternatives(accepted: &[Value]) -> String {
    accepted.iter().map(Value::to_string).collect::<Vec<_>>().join(" or ")
}
