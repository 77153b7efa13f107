//! Takes the fields of a JSON object and refuses what is wrong.

use std::num::NonZeroUsize;

use electra_formats::json::kind;
use serde_json::{Map, Value};

use super::problem::Problem;
use crate::serve::protocol::shortened;

/// Limits for the texts of a request.
#[derive(Clone, Copy)]
pub(super) struct TextLimits {
    /// Largest number of texts.
    pub texts: usize,
    /// Longest text in bytes.
    pub bytes: usize,
}

/// The texts of a request.
#[derive(Debug, PartialEq)]
pub(super) struct Inputs {
    pub texts: Vec<String>,
    /// Whether they were a list. The answer then is a list, too.
    pub is_list: bool,
}

/// The fields of an object that were not taken yet. A field that is null counts as absent.
pub(super) struct Fields {
    object: Map<String, Value>,
    /// Where the object is, for messages: empty, or a name with a dot.
    path: &'static str,
    limits: TextLimits,
}

impl Fields {
    pub(super) fn new(object: Map<String, Value>, limits: TextLimits) -> Self {
        Self { object, path: "", limits }
    }

    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.object.remove(name).filter(|value| !value.is_null())
    }

    pub(super) fn wrong(&self, name: &str, found: &Value, expected: &str) -> Problem {
        let found = match found {
            Value::String(text) if text.len() <= 20 => format!("{text:?}"),
            Value::Number(number) => number.to_string(),
            found => kind(found).to_owned(),
        };
        Problem::fields(format!("{}{name}: {found} found, expected {expected}", self.path))
    }

    pub(super) fn flag(&mut self, name: &str) -> Result<Option<bool>, Problem> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(found) => Err(self.wrong(name, &found, "true or false")),
        }
    }

    pub(super) fn count(&mut self, name: &str, expected: &str) -> Result<Option<NonZeroUsize>, Problem> {
        let Some(found) = self.take(name) else { return Ok(None) };
        match whole_number(&found) {
            None => Err(self.wrong(name, &found, expected)),
            count => Ok(count),
        }
    }

    pub(super) fn object(&mut self, name: &str, path: &'static str) -> Result<Option<Self>, Problem> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Object(object)) => Ok(Some(Self { object, path, limits: self.limits })),
            Some(found) => Err(self.wrong(name, &found, "an object")),
        }
    }

    /// Takes the texts. With `nested`, an element of a list may be a list of one text, as TEI's
    /// clients send it.
    pub(super) fn inputs(&mut self, nested: bool) -> Result<Inputs, Problem> {
        const EXPECTED: &str = "a string or a list of strings";
        let TextLimits { texts: most, bytes } = self.limits;
        let inputs = match self.take("inputs") {
            None => {
                return Err(Problem::fields("no field inputs found, expected {\"inputs\": \"...\"}"));
            }
            Some(Value::String(text)) => Inputs { texts: vec![text], is_list: false },
            Some(Value::Array(list)) if list.is_empty() => {
                return Err(Problem::fields("inputs: an empty list found, expected at least one text"));
            }
            Some(Value::Array(list)) if list.len() > most => {
                let problem = format!("inputs: {} texts found, expected at most {most}", list.len());
                return Err(Problem::too_large(problem));
            }
            Some(Value::Array(list)) => {
                let texts: Result<Vec<String>, Problem> = list
                    .into_iter()
                    .enumerate()
                    .map(|(index, element)| self.text(index, element, nested))
                    .collect();
                Inputs { texts: texts?, is_list: true }
            }
            Some(found) => return Err(self.wrong("inputs", &found, EXPECTED)),
        };
        if let Some(index) = inputs.texts.iter().position(|text| text.len() > bytes) {
            let len = inputs.texts[index].len();
            let problem = format!("inputs: {len} bytes found in text {index}, expected at most {bytes}");
            return Err(Problem::too_large(problem));
        }
        Ok(inputs)
    }

    fn text(&self, index: usize, element: Value, nested: bool) -> Result<String, Problem> {
        match element {
            Value::String(text) => Ok(text),
            Value::Array(mut list) if nested && list.len() == 1 => match list.pop() {
                Some(Value::String(text)) => Ok(text),
                found => {
                    Err(self.wrong(&format!("inputs[{index}][0]"), &found.unwrap_or_default(), "a string"))
                }
            },
            Value::Array(list) if list.len() == 2 => Err(Problem::fields(format!(
                "inputs[{index}]: a pair of texts found, expected one text: pairs are not supported"
            ))),
            found => Err(self.wrong(&format!("inputs[{index}]"), &found, "a string")),
        }
    }

    /// Refuses fields that were not taken.
    pub(super) fn finish(self, expected: &str) -> Result<(), Problem> {
        match self.object.keys().next() {
            None => Ok(()),
            Some(name) => {
                let name = self.path.to_owned() + &shortened(name);
                let problem = format!("field {name:?} found, expected {expected} only");
                Err(Problem::fields(problem))
            }
        }
    }
}

/// Returns a number above 0. JSON does not distinguish 2 from 2.0. A number that is too large
/// becomes the largest one, because there are never more labels than that.
fn whole_number(value: &Value) -> Option<NonZeroUsize> {
    let number = match value.as_u64() {
        Some(number) => usize::try_from(number).unwrap_or(usize::MAX),
        None => value.as_f64().filter(|number| number.fract() == 0.0)? as usize,
    };
    NonZeroUsize::new(number)
}
