//! Rows of `.jsonl` files: one JSON object per line.

use serde_json::Value;

use super::{Field, Problem};
use crate::json::kind;

/// Returns the values of `fields` in the object on `line`.
///
/// `NaN`, `Infinity` and `-Infinity` count as `null`. Python writes them, but JSON does not allow
/// them.
pub(super) fn values(line: &str, fields: &[Field]) -> Result<Vec<String>, Problem> {
    let object = match parse(line)? {
        Value::Object(object) => object,
        other => return Err(Problem::new(kind(&other), "a JSON object")),
    };
    let value = |field: &Field| {
        let found = field.names.iter().find_map(|name| object.get(name));
        match found {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(value @ (Value::Number(_) | Value::Bool(_))) if field.numbers => Ok(value.to_string()),
            Some(other) => {
                let expected = if field.numbers { "a string or a number" } else { "a string" };
                Err(Problem::of_field(&field.name(), kind(other), expected))
            }
            None => Err(Problem::new("no such field", field.expected("a field"))),
        }
    };
    fields.iter().map(value).collect()
}

fn parse(line: &str) -> Result<Value, Problem> {
    let error = match serde_json::from_str(line) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    if let Some(value) = without_constants_of_python(line).and_then(|line| serde_json::from_str(&line).ok()) {
        return Ok(value);
    }
    if let Some(column) = lone_surrogate(line) {
        let found = format!("half of a surrogate pair in column {column}");
        let expected = "both halves, as \\ud83d\\ude00: a character was cut in two before it was written";
        return Err(Problem::new(found, expected));
    }
    // The reason ends with a line and a column. The line is always 1, so only the column is kept.
    let reason = error.to_string();
    let reason = reason.split(" at line ").next().unwrap_or_default();
    let found = format!("no valid JSON ({reason} in column {})", error.column());
    Err(Problem::new(found, "a JSON object"))
}

/// Replaces `NaN`, `Infinity` and `-Infinity` outside strings with `null`. Returns `None` if there
/// are none.
fn without_constants_of_python(line: &str) -> Option<String> {
    let mut result = String::with_capacity(line.len());
    let mut rest = line;
    let mut found = false;
    while let Some(character) = rest.chars().next() {
        if character == '"' {
            let string = &rest[..string_length(rest)];
            result.push_str(string);
            rest = &rest[string.len()..];
        } else if let Some(after) =
            ["NaN", "-Infinity", "Infinity"].iter().find_map(|constant| rest.strip_prefix(constant))
        {
            result.push_str("null");
            rest = after;
            found = true;
        } else {
            result.push(character);
            rest = &rest[character.len_utf8()..];
        }
    }
    found.then_some(result)
}

/// Returns the length in bytes of the string at the start of `text`, including its quotes. If the
/// string does not end, this is the length of `text`.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (index, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return index + 1,
            _ => {}
        }
    }
    text.len()
}

/// Returns the column, in bytes from 1, of the first escape from `\uD800` to `\uDFFF` that is not
/// part of a surrogate pair.
fn lone_surrogate(line: &str) -> Option<usize> {
    let unit = |at: usize| {
        let digits = line.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let mut at = 0;
    while let Some(offset) = line.get(at..)?.find('\\') {
        at += offset;
        match (unit(at), unit(at + 6)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => at += 12,
            (Some(0xd800..=0xdfff), _) => return Some(at + 1),
            (Some(_), _) => at += 6,
            // Another escape: a backslash and one more character.
            (None, _) => at += 1 + line[at + 1..].chars().next().map_or(0, char::len_utf8),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(line: &str) -> Result<String, String> {
        let field = Field { names: vec!["text".to_owned()], hint: String::new(), numbers: false };
        values(line, &[field]).map(|mut values| values.remove(0)).map_err(|problem| problem.to_string())
    }

    #[test]
    fn constants_of_python_count_as_null() {
        let line = r#"{"text": "NaN \" -Infinity", "rating": NaN, "low": -Infinity, "high": [Infinity]}"#;
        assert_eq!(text(line).unwrap(), "NaN \" -Infinity");
        assert_eq!(text(r#"{"text": NaN}"#).unwrap_err(), "text: found null, expected a string");
    }

    #[test]
    fn half_a_character_is_called_that() {
        for (line, column) in [
            (r#"{"text": "great \ud83d film"}"#, 17),
            (r#"{"text": "\\\ude00\ud83d"}"#, 13),
            (r#"{"text": "\ud83d\ude00 \ud83d"}"#, 24),
            (r#"{"text": "\ud83d"#, 11),
        ] {
            let expected = format!("found half of a surrogate pair in column {column}, expected both halves");
            let found = text(line).unwrap_err();
            assert!(found.starts_with(&expected), "{line}: {found}");
        }
        assert_eq!(text(r#"{"text": "\\ud83d \ud83d\ude00"}"#).unwrap(), "\\ud83d 😀");
    }

    #[test]
    fn messages_say_where_in_the_line() {
        for (line, expected) in [
            ("{", "found no valid JSON (EOF while parsing an object in column 1), expected a JSON object"),
            ("[{}]", "found an array, expected a JSON object"),
            (r#"{"texts": "a"}"#, "found no such field, expected a field text"),
            (r#"{"text": 1}"#, "text: found a number, expected a string"),
            ("\"\\", "found no valid JSON (EOF while parsing a string in column 2), expected a JSON object"),
        ] {
            assert_eq!(text(line).unwrap_err(), expected, "{line}");
        }
    }
}
