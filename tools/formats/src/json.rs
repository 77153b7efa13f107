//! JSON files and typed access to the fields of their objects. Errors name the file and the field.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::error::Error;
use crate::file::read_text;

/// A JSON file whose top level is an object.
#[derive(Debug)]
pub struct Document {
    /// Path of the file, for messages.
    pub file: PathBuf,
    fields: Map<String, Value>,
}

impl Document {
    /// Reads a file and parses it.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`read_text`] and of [`Document::parse`].
    pub fn read(file: PathBuf) -> Result<Self, Error> {
        let text = read_text(&file)?;
        Self::parse(file, &text)
    }

    /// Parses `text`. Errors name `file`.
    ///
    /// # Errors
    ///
    /// Fails if the text is not a JSON object.
    pub fn parse(file: PathBuf, text: &str) -> Result<Self, Error> {
        match serde_json::from_str(text) {
            Ok(Value::Object(fields)) => Ok(Self { file, fields }),
            Ok(other) => Err(Error::field(&file, "top level", other.to_string(), "a JSON object")),
            Err(source) => Err(Error::json(&file, source)),
        }
    }

    /// Returns the object at the top level.
    pub fn root(&self) -> Object<'_> {
        Object { file: &self.file, path: String::new(), fields: &self.fields }
    }
}

/// One JSON object inside a [`Document`]. A field that is `null` counts as absent, as in the
/// readers of Hugging Face.
#[derive(Debug)]
pub struct Object<'a> {
    file: &'a Path,
    path: String,
    fields: &'a Map<String, Value>,
}

impl<'a> Object<'a> {
    /// Returns the value of field `name`, unless it is absent or `null`.
    pub fn get(&self, name: &str) -> Option<&'a Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    /// Returns the names and values of all fields.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (&'a String, &'a Value)> + use<'a> {
        self.fields.iter()
    }

    /// Returns the error that refuses the value of field `name`.
    pub fn refuse(&self, name: &str, expected: impl Into<String>) -> Error {
        let found = self.get(name).map_or_else(|| "nothing".to_owned(), Value::to_string);
        Error::field(self.file, format!("{}{name}", self.path), found, expected)
    }

    /// Returns the object in field `name`, if there is one.
    ///
    /// # Errors
    ///
    /// Fails if the field has a value of another kind.
    pub fn object(&self, name: &str) -> Result<Option<Object<'a>>, Error> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Object(fields)) => {
                Ok(Some(Object { file: self.file, path: format!("{}{name}.", self.path), fields }))
            }
            Some(_) => Err(self.refuse(name, "an object")),
        }
    }

    /// Returns the object in field `name`.
    ///
    /// # Errors
    ///
    /// Fails if the field is absent or has a value of another kind.
    pub fn required_object(&self, name: &str) -> Result<Object<'a>, Error> {
        self.object(name)?.ok_or_else(|| self.refuse(name, "an object"))
    }

    /// Returns the array in field `name`, or an empty one if the field is absent.
    ///
    /// # Errors
    ///
    /// Fails if the field has a value of another kind.
    pub fn array(&self, name: &str) -> Result<&'a [Value], Error> {
        match self.get(name) {
            None => Ok(&[]),
            Some(Value::Array(values)) => Ok(values),
            Some(_) => Err(self.refuse(name, "an array")),
        }
    }

    /// Returns the non-negative integer in field `name`, if there is one.
    ///
    /// # Errors
    ///
    /// Fails if the field has a value of another kind.
    pub fn unsigned(&self, name: &str) -> Result<Option<usize>, Error> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let number = value.as_u64().and_then(|number| usize::try_from(number).ok());
        number.map(Some).ok_or_else(|| self.refuse(name, "a non-negative integer"))
    }

    /// Returns the number in field `name`, if there is one.
    ///
    /// # Errors
    ///
    /// Fails if the field has a value of another kind.
    pub fn number(&self, name: &str) -> Result<Option<f64>, Error> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        value.as_f64().map(Some).ok_or_else(|| self.refuse(name, "a number"))
    }

    /// Checks that field `name` is absent or equal to one of `accepted`.
    ///
    /// # Errors
    ///
    /// Fails if the field has another value.
    pub fn allow(&self, name: &str, accepted: &[Value]) -> Result<(), Error> {
        match self.get(name) {
            Some(value) if !accepted.contains(value) => Err(self.refuse(name, alternatives(accepted))),
            _ => Ok(()),
        }
    }

    /// Checks that field `name` is equal to `accepted`.
    ///
    /// # Errors
    ///
    /// Fails if the field is absent or has another value.
    pub fn require(&self, name: &str, accepted: &Value) -> Result<(), Error> {
        if self.get(name) == Some(accepted) {
            return Ok(());
        }
        Err(self.refuse(name, accepted.to_string()))
    }
}

fn alternatives(accepted: &[Value]) -> String {
    accepted.iter().map(Value::to_string).collect::<Vec<_>>().join(" or ")
}

/// Returns the kind of a value, for messages.
#[must_use]
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
