//! Reads texts from files, one row at a time: `.txt` with one text per line, `.csv` and `.tsv` with
//! a header, `.jsonl` with one object per line.
//!
//! A bad row is returned as an item, and the rows after it are still read. The reader does not
//! guess: a quote that is never closed, or that is closed in the middle of a field, is an error of
//! its row. A lenient parser would merge several rows into one without a message.

mod json;
mod lines;
mod table;

use std::io::{self, BufRead, Chain, Cursor, Read};
use std::path::{Path, PathBuf};

use crate::error::{Error, quoted};

/// Byte order mark that some editors put at the start of a UTF-8 file.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
/// Byte order marks of UTF-16, little and big endian.
const UTF_16: [[u8; 2]; 2] = [[0xff, 0xfe], [0xfe, 0xff]];
/// Largest number of bytes of one line. It bounds the memory for a device or a file without line
/// breaks.
const MAX_LINE: usize = 256 << 20;
/// Number of bytes after which a row of a table with an open quote is an error.
const MAX_RECORD: usize = 16 << 20;

/// Formats of texts in files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One text per line.
    Txt,
    /// A header, then fields separated by commas and quoted as in RFC 4180.
    Csv,
    /// A header, then fields separated by tabs. Quotes are ordinary characters.
    Tsv,
    /// One JSON object per line.
    Jsonl,
}

impl Format {
    /// Returns the format for the extension of `name`; [`Format::Txt`] for a name without an
    /// extension.
    ///
    /// # Errors
    ///
    /// Fails for any other extension. The message lists the known ones.
    pub fn of_name(name: &Path) -> Result<Self, Error> {
        let extension = name.extension().and_then(|extension| extension.to_str());
        match extension.map(str::to_ascii_lowercase).as_deref() {
            Some("csv") => Ok(Self::Csv),
            Some("tsv") => Ok(Self::Tsv),
            Some("jsonl" | "ndjson") => Ok(Self::Jsonl),
            Some("txt") | None => Ok(Self::Txt),
            Some("json") => {
                let expected = ".jsonl, one object per line; `jq -c '.[]' FILE` converts an array";
                Err(Error::field(name, "extension", ".json", expected))
            }
            Some(other) => {
                Err(Error::field(name, "extension", format!(".{other}"), ".txt, .csv, .tsv or .jsonl"))
            }
        }
    }

    /// Returns whether rows have named fields.
    #[must_use]
    pub fn has_fields(self) -> bool {
        self != Self::Txt
    }
}

/// A field to read from each row.
#[derive(Clone, Debug)]
pub struct Field {
    /// Accepted names of the field. The first one that exists is used.
    pub names: Vec<String>,
    /// Advice for the message if none of the names exists, for example `--column names another`.
    pub hint: String,
    /// Whether JSON numbers and booleans are accepted as values.
    pub numbers: bool,
}

impl Field {
    /// Returns the name of the field in messages.
    fn name(&self) -> String {
        self.names.join(" or ")
    }

    fn expected(&self, what: &str) -> String {
        let hint = if self.hint.is_empty() { String::new() } else { format!("; {}", self.hint) };
        format!("{what} {}{hint}", self.name())
    }
}

/// Options for reading a file.
#[derive(Clone, Debug)]
pub struct Options {
    /// Format of the file.
    pub format: Format,
    /// Delimiter of [`Format::Csv`] and [`Format::Tsv`]; `None` for a comma and a tab.
    pub delimiter: Option<u8>,
    /// Advice for the message if the file seems to use another delimiter, for example
    /// `--delimiter names it`.
    pub delimiter_hint: String,
    /// Fields to read. Each row of [`Format::Txt`] has one value, whatever fields are given.
    pub fields: Vec<Field>,
}

/// One row of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Line on which the row begins, counted from 1.
    pub line: u64,
    /// Values of the fields in the order of [`Options::fields`], or the problem with the row.
    pub values: Result<Vec<String>, Problem>,
}

/// A problem with a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The field at fault, if the problem concerns a single field.
    pub field: Option<String>,
    /// The value that was found.
    pub found: String,
    /// A description of the values that are accepted.
    pub expected: String,
}

impl Problem {
    fn new(found: impl AsRef<str>, expected: impl Into<String>) -> Self {
        Self { field: None, found: quoted(found.as_ref()), expected: expected.into() }
    }

    fn of_field(field: &str, found: impl AsRef<str>, expected: impl Into<String>) -> Self {
        Self { field: Some(quoted(field)), ..Self::new(found, expected) }
    }

    /// Returns the error for this problem in line `line` of `file`.
    #[must_use]
    pub fn in_file(&self, file: &Path, line: u64) -> Error {
        let field = match &self.field {
            Some(field) => format!("line {line}, {field}"),
            None => format!("line {line}"),
        };
        Error::Field {
            file: file.to_path_buf(),
            field,
            found: self.found.clone(),
            expected: self.expected.clone(),
        }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(field) = &self.field {
            write!(f, "{field}: ")?;
        }
        write!(f, "found {}, expected {}", self.found, self.expected)
    }
}

/// Rows in the order of the file. An error means that the rest of the file cannot be read.
pub type Rows = Box<dyn Iterator<Item = Result<Row, Error>> + Send>;

/// A table with all its columns.
pub struct Table {
    /// Names of the columns.
    pub header: Vec<String>,
    /// Rows with one value per column.
    pub rows: Rows,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table").field("header", &self.header).finish_non_exhaustive()
    }
}

/// Reads the header, if the format has one, and returns the rows. `name` stands for the file in
/// errors.
///
/// # Errors
///
/// Fails for an empty file, a file in UTF-16, a header that lacks a field or has a broken quote,
/// and a read error of the operating system.
pub fn read(name: PathBuf, reader: impl BufRead + Send + 'static, options: Options) -> Result<Rows, Error> {
    let reader = begin(&name, reader)?;
    match options.format {
        Format::Txt => Ok(lines::rows(name, reader, |text| Some(Ok(vec![text])))),
        Format::Jsonl => {
            let fields = options.fields;
            Ok(lines::rows(name, reader, move |line| {
                let blank = line.trim().is_empty();
                (!blank).then(|| json::values(&line, &fields))
            }))
        }
        Format::Csv | Format::Tsv => table::rows(name, reader, options),
    }
}

/// Reads texts, one per line. `name` stands for the file in errors.
///
/// # Errors
///
/// Returns the errors of [`read`].
pub fn read_lines(name: PathBuf, reader: impl BufRead + Send + 'static) -> Result<Rows, Error> {
    let (delimiter, delimiter_hint, fields) = (None, String::new(), Vec::new());
    read(name, reader, Options { format: Format::Txt, delimiter, delimiter_hint, fields })
}

/// Reads the header of a `.csv` or a `.tsv` file and returns the table. `name` stands for the file
/// in errors.
///
/// # Errors
///
/// Returns the errors of [`read`].
pub fn read_table(
    name: PathBuf,
    reader: impl BufRead + Send + 'static,
    format: Format,
    delimiter: Option<u8>,
) -> Result<Table, Error> {
    let reader = begin(&name, reader)?;
    table::whole(name, reader, format, delimiter)
}

/// Checks the first bytes, even if they arrive one at a time, and drops a byte order mark.
fn begin<R: BufRead>(name: &Path, mut reader: R) -> Result<Chain<Cursor<Vec<u8>>, R>, Error> {
    let mut first = Vec::new();
    let mut more = |first: &mut Vec<u8>| {
        let read = reader.by_ref().take(1).read_to_end(first);
        read.map(|read| read > 0).map_err(|source| Error::read(name, source))
    };
    // Reads no more bytes than needed: on a terminal, the user may wait for the answer to a short
    // line.
    let marks = [BYTE_ORDER_MARK, &UTF_16[0], &UTF_16[1]];
    while marks.iter().any(|mark| mark.len() > first.len() && mark.starts_with(&first)) && more(&mut first)? {
    }
    if UTF_16.iter().any(|mark| first == mark) {
        let expected = "UTF-8; `iconv -f UTF-16 -t UTF-8` converts it";
        return Err(Error::field(name, "content", "text in UTF-16", expected));
    }
    if first == BYTE_ORDER_MARK {
        first.clear();
        more(&mut first)?;
    }
    if first.is_empty() {
        return Err(Error::field(name, "content", "nothing", "at least one text"));
    }
    Ok(Cursor::new(first).chain(reader))
}

/// Returns the error for a line longer than [`MAX_LINE`] bytes.
fn too_long(line: u64) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("line {line} is longer than {MAX_LINE} bytes"))
}

/// Decodes `bytes` as UTF-8.
fn utf8(bytes: &[u8]) -> Result<String, Problem> {
    String::from_utf8(bytes.to_vec()).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let byte = bytes.get(at).copied().unwrap_or_default();
        let found = format!("the byte {byte:#04x} after {at} bytes, which is not UTF-8");
        Problem::new(found, "UTF-8; `iconv -f WINDOWS-1252 -t UTF-8` converts a Windows file")
    })
}

#[cfg(test)]
mod tests;
