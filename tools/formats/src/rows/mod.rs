//! Texts from files, one row at a time: `.txt` with a text per line, `.csv` and `.tsv` with a header,
//! `.jsonl` with an object per line.
//!
//! A bad row is an item like any other, so the rows after it are still read. The reader does not
//! guess: a quote that is never closed, or that is closed in the middle of a field, is an error of
//! its row. A lenient parser would merge several rows into one without a message.

mod json;
mod lines;
mod table;

use std::io::{self, BufRead, Chain, Cursor, Read};
use std::path::{Path, PathBuf};

use crate::error::{Error, quoted};

/// The byte order mark that some editors put at the start of a UTF-8 file.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
/// The same for UTF-16, in both orders.
const UTF_16: [[u8; 2]; 2] = [[0xff, 0xfe], [0xfe, 0xff]];
/// Most bytes of one line; a device or a file without line breaks must not fill the memory.
const MAX_LINE: usize = 256 << 20;
/// Most bytes of one row of a table. A quote that is never closed is found after so many at the latest.
const MAX_RECORD: usize = 16 << 20;

/// Formats of texts in files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A text per line.
    Txt,
    /// A header, then fields between commas, quoted as in RFC 4180.
    Csv,
    /// A header, then fields between tabs; quotes are plain characters.
    Tsv,
    /// A JSON object per line.
    Jsonl,
}

impl Format {
    /// The format that the extension of `name` tells; `.txt` for a name without one.
    ///
    /// # Errors
    ///
    /// Another extension, with the ones that are known.
    pub fn of_name(name: &Path) -> Result<Self, Error> {
        let extension = name.extension().and_then(|extension| extension.to_str());
        match extension.map(str::to_ascii_lowercase).as_deref() {
            Some("csv") => Ok(Self::Csv),
            Some("tsv") => Ok(Self::Tsv),
            Some("jsonl" | "ndjson") => Ok(Self::Jsonl),
            Some("txt") | None => Ok(Self::Txt),
            Some("json") => {
                let expected = ".jsonl, an object per line; `jq -c '.[]' FILE` makes that of an array";
                Err(Error::field(name, "extension", ".json", expected))
            }
            Some(other) => {
                Err(Error::field(name, "extension", format!(".{other}"), ".txt, .csv, .tsv or .jsonl"))
            }
        }
    }

    /// Whether rows have named fields.
    #[must_use]
    pub fn has_fields(self) -> bool {
        self != Self::Txt
    }
}

/// A field that is read of each row.
#[derive(Clone, Debug)]
pub struct Field {
    /// Names that it may have, the first one found counts.
    pub names: Vec<String>,
    /// Advice for the message when none of them exists: `--column names another`.
    pub hint: String,
    /// Whether a number or a boolean of JSON is a value, too.
    pub numbers: bool,
}

impl Field {
    /// Its name in messages.
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
    /// Its format.
    pub format: Format,
    /// Delimiter of [`Format::Csv`] and [`Format::Tsv`], if it is not a comma or a tab.
    pub delimiter: Option<u8>,
    /// Advice for the message when the file seems to use another delimiter: `--delimiter names it`.
    pub delimiter_hint: String,
    /// The fields to read; a row of [`Format::Txt`] is the value of the first one.
    pub fields: Vec<Field>,
}

/// One row of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Line where it begins, counted from 1.
    pub line: u64,
    /// The values of the fields, in the order of [`Options::fields`], or what is wrong.
    pub values: Result<Vec<String>, Problem>,
}

/// A problem with a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The field at fault, where it is one.
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

    /// The error for this row of `file`.
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

/// Rows in the order of the file. An error ends them: the file itself could not be read on.
pub type Rows = Box<dyn Iterator<Item = Result<Row, Error>> + Send>;

/// A table with all of its columns.
pub struct Table {
    /// Their names.
    pub header: Vec<String>,
    /// Rows with as many values.
    pub rows: Rows,
}

/// Reads the header, if there is one; `name` stands for the file in errors.
///
/// # Errors
///
/// An empty file, one in UTF-16, a header without the fields or with a broken quote, and what the
/// operating system answers.
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

/// Reads texts, one per line; `name` stands for the file in errors.
///
/// # Errors
///
/// Those of [`read`].
pub fn read_lines(name: PathBuf, reader: impl BufRead + Send + 'static) -> Result<Rows, Error> {
    let (delimiter, delimiter_hint, fields) = (None, String::new(), Vec::new());
    read(name, reader, Options { format: Format::Txt, delimiter, delimiter_hint, fields })
}

/// Reads the header of a `.csv` or a `.tsv`; `name` stands for the file in errors.
///
/// # Errors
///
/// Those of [`read`].
pub fn read_table(
    name: PathBuf,
    reader: impl BufRead + Send + 'static,
    format: Format,
    delimiter: Option<u8>,
) -> Result<Table, Error> {
    let reader = begin(&name, reader)?;
    table::whole(name, reader, format, delimiter)
}

/// Looks at the first bytes, however few arrive at a time, and drops a byte order mark.
fn begin<R: BufRead>(name: &Path, mut reader: R) -> Result<Chain<Cursor<Vec<u8>>, R>, Error> {
    let mut first = Vec::new();
    let mut more = |first: &mut Vec<u8>| {
        let read = reader.by_ref().take(1).read_to_end(first);
        read.map(|read| read > 0).map_err(|source| Error::read(name, source))
    };
    // No byte more than needed: somebody may be typing, and wait for an answer to one short line.
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

/// The error for a line that is too long.
fn too_long(line: u64) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("line {line} is longer than {MAX_LINE} bytes"))
}

/// The text in `bytes`.
fn utf8(bytes: &[u8]) -> Result<String, Problem> {
    String::from_utf8(bytes.to_vec()).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let byte = bytes.get(at).copied().unwrap_or_default();
        let found = format!("the byte {byte:#04x} after {at} bytes, which is no UTF-8");
        Problem::new(found, "UTF-8; `iconv -f WINDOWS-1252 -t UTF-8` converts a Windows file")
    })
}

#[cfg(test)]
mod tests;
