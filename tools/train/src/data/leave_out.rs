//! Rows that must not be read: tests are made of them, for instance.

use std::collections::HashSet;
use std::path::Path;

use electra_formats::rows::{Format, Table, read_table};

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
        let Table { header: columns, rows } =
            read_table(file.to_path_buf(), open_text(file)?, Format::Tsv, None)?;
        let values = rows.map(|row| {
            let row = row?;
            row.values.map_err(|problem| problem.in_file(file, row.line))
        });
        let rows = values.collect::<std::result::Result<HashSet<_>, _>>()?;
        if rows.is_empty() {
            return Err(Error::field(file, "rows", "none", "at least one, or no leave_out"));
        }
        Ok(Self { columns, rows })
    }
}
