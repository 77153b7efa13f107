//! Formats with one row per line.

use std::io::{BufRead, Read};
use std::path::PathBuf;

use super::{MAX_LINE, Problem, Row, Rows, too_long, utf8};
use crate::error::Error;

/// Splits the input at line feeds and drops a carriage return before each. `parse` returns `None`
/// for a line that is not a row.
pub(super) fn rows(
    name: PathBuf,
    mut reader: impl BufRead + Send + 'static,
    parse: impl Fn(String) -> Option<Result<Vec<String>, Problem>> + Send + 'static,
) -> Rows {
    let mut line = 0;
    let mut bytes = Vec::new();
    Box::new(std::iter::from_fn(move || {
        loop {
            bytes.clear();
            match reader.by_ref().take(MAX_LINE as u64 + 1).read_until(b'\n', &mut bytes) {
                Ok(0) => return None,
                Ok(read) if read > MAX_LINE => return Some(Err(Error::read(&name, too_long(line + 1)))),
                Ok(_) => line += 1,
                Err(error) => return Some(Err(Error::read(&name, error))),
            }
            let text =
                bytes.strip_suffix(b"\n").map_or(&bytes[..], |rest| rest.strip_suffix(b"\r").unwrap_or(rest));
            let values = match utf8(text) {
                Ok(text) => parse(text),
                Err(problem) => Some(Err(problem)),
            };
            if let Some(values) = values {
                return Some(Ok(Row { line, values }));
            }
        }
    }))
}
