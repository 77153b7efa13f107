//! Rows that must not be read: tests are made of them, for instance.

use std::collections::HashSet;
use std::path::Path;

use super::open_text;
use crate::error::{Error, Result};

/// A table, tab separated with a header, of rows to leave out.
#[derive(Debug)]
pub(super) struct LeaveOut {
    /// Names of its columns.
    pub(super) columns: Vec<String>,
    /// Their values in each of its lines.
    pub(super) rows: HashSet<Vec<String>>,
}

impl LeaveOut {
    pub(super) fn read(file: &Path) -> Result<Self> {
        let mut reader =
            csv::ReaderBuilder::new().delimiter(b'\t').quoting(false).from_reader(open_text(file)?);
        let refuse = |error: csv::Error| {
            Error::field(file, "content", error.to_string(), "a tab-separated table in UTF-8 with a header")
        };
        let columns = reader.headers().map_err(refuse)?.iter().map(str::to_owned).collect();
        let rows = reader.records().map(|it| Ok(it.map_err(refuse)?.iter().map(str::to_owned).collect()));
        let rows = rows.collect::<Result<HashSet<_>>>()?;
        if rows.is_empty() {
            return Err(Error::field(file, "rows", "none", "at least one, or no leave_out"));
        }
        Ok(Self { columns, rows })
    }
}
