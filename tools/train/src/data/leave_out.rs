//! Rows that must not be read, for example because they are part of a test set.

use std::collections::HashSet;
use std::path::Path;

use electra_formats::rows::{Format, Table, read_table};

use super::open_text;
use crate::error::{Error, Result};

/// Table of rows to leave out, tab-separated and with a header.
#[derive(Debug)]
pub(super) struct LeaveOut {
    /// Names of its columns.
    pub(super) columns: Vec<String>,
    /// Values of the columns, per line.
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
