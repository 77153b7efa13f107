//! Reads texts from the command line, from files and from standard input, one at a time. A bad row
//! is returned as an item, and the rows after it are still read.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use electra_formats::rows::{self, Field, Format, Options};

use crate::args::{InputArgs, TextArgs};
use crate::failure::{Failure, report};

/// Default names of the text column.
const TEXT_COLUMNS: [&str; 2] = ["text", "sentence"];

/// One row of the input.
#[derive(Clone)]
pub(crate) struct Row {
    /// Line on which the row begins, counted from 1.
    pub line: u64,
    /// Content of the row, or the problem with it.
    pub content: Result<Content, String>,
}

/// Content of a usable row.
#[derive(Clone)]
pub(crate) struct Content {
    pub text: String,
    /// Value of the label column, if it was requested.
    pub label: Option<String>,
}

/// Rows in input order. An error means that the input itself failed and there are no more rows.
pub(crate) struct Rows {
    rows: Box<dyn Iterator<Item = Result<Row, Failure>> + Send>,
    /// Whether the rows come from a file or from standard input.
    pub from_file: bool,
    /// Progress in the file, if its size is known.
    pub position: Option<Position>,
}

impl Rows {
    /// Returns rows that are already in memory.
    pub(crate) fn in_memory(rows: Vec<Row>) -> Self {
        Self { rows: Box::new(rows.into_iter().map(Ok)), from_file: true, position: None }
    }
}

impl Iterator for Rows {
    type Item = Result<Row, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        self.rows.next()
    }
}

/// Progress in a file.
#[derive(Clone)]
pub(crate) struct Position {
    read: Arc<AtomicU64>,
    /// Size of the file in bytes.
    pub bytes: u64,
}

impl Position {
    /// Returns the number of bytes read so far.
    pub(crate) fn now(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }
}

/// A file that counts the bytes read from it.
struct Counted {
    file: File,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// A file of texts and the options for reading it.
pub(crate) struct Source<'a> {
    pub path: &'a Path,
    pub format: Option<Format>,
    pub delimiter: Option<u8>,
    pub column: Option<&'a str>,
    pub label_column: Option<&'a str>,
}

impl TextArgs {
    /// Returns the texts of the command line, or the rows of the input file.
    pub(crate) fn rows(&self) -> Result<Rows, Failure> {
        let texts = &self.texts;
        let Some(path) = &self.input.input else {
            texts.iter().for_each(|text| hint_at_file(text));
            let row = |(index, text)| {
                let content = Content { text, label: None };
                Ok(Row { line: index as u64 + 1, content: Ok(content) })
            };
            let texts = texts.clone();
            let rows = Box::new(texts.into_iter().enumerate().map(row));
            return Ok(Rows { rows, from_file: false, position: None });
        };
        self.input.source(path, None).rows()
    }

    /// Returns the text of the command line, or of the only row of the input file.
    pub(crate) fn single(&self) -> Result<String, Failure> {
        let name = display_name(self.input.input.as_deref());
        let mut rows = self.rows()?;
        let Some(row) = rows.next().transpose()? else {
            return Err(fail(&name, "found no text, expected one"));
        };
        let content = row.content.map_err(|problem| fail(&format!("{name}, line {}", row.line), problem))?;
        if let Some(second) = rows.next().transpose()? {
            let advice =
                "pass a text of several lines as an argument, or as one row of a .csv or .jsonl input";
            let problem = format!("line {}: found a second text, expected one; {advice}", second.line);
            return Err(Failure::Usage(format!("{name}, {problem}")));
        }
        Ok(content.text)
    }
}

impl InputArgs {
    /// Returns the input file at `path`.
    pub(crate) fn source<'a>(&'a self, path: &'a Path, label_column: Option<&'a str>) -> Source<'a> {
        let (format, column) = (self.format.map(Format::from), self.column.as_deref());
        Source { path, format, delimiter: self.delimiter, column, label_column }
    }

    /// Returns the line of a row for JSON, or `None` for texts of the command line.
    pub(crate) fn line_number(&self, line: u64) -> Option<u64> {
        self.input.as_ref().map(|_| line)
    }
}

/// Prints a hint for a text that was probably meant as an input: `-`, or the name of a file.
fn hint_at_file(text: &str) {
    if text == "-" {
        report(format_args!("'-' is taken as a text; '--input -' reads standard input"));
    } else if Path::new(text).is_file() {
        report(format_args!("'{text}' is taken as a text; '--input {text}' reads the file of that name"));
    }
}

impl Source<'_> {
    /// Opens the input and reads its header, if it has one.
    pub(crate) fn rows(&self) -> Result<Rows, Failure> {
        let name = self.name();
        let options = self.options()?;
        let mut position = None;
        let reader: Box<dyn Read + Send> = if self.path == Path::new("-") {
            Box::new(io::stdin())
        } else {
            let file = File::open(self.path).map_err(|error| fail(&name, error))?;
            let metadata = file.metadata().map_err(|error| fail(&name, error))?;
            if metadata.is_dir() {
                return Err(fail(&name, "is a directory, expected a file"));
            }
            let read = Arc::new(AtomicU64::new(0));
            if metadata.is_file() {
                position = Some(Position { read: read.clone(), bytes: metadata.len() });
            }
            Box::new(Counted { file, read })
        };
        let reader = BufReader::with_capacity(1 << 16, reader);
        let rows = rows::read(PathBuf::from(&name), reader, options)?.map(|row| {
            let rows::Row { line, values } = row?;
            let content = values.map_err(|problem| problem.to_string()).map(|values| {
                let mut values = values.into_iter();
                Content { text: values.next().unwrap_or_default(), label: values.next() }
            });
            Ok(Row { line, content })
        });
        Ok(Rows { rows: Box::new(rows), from_file: true, position })
    }

    /// Returns whether the input can be read a second time.
    pub(crate) fn can_be_read_again(&self) -> bool {
        self.path != Path::new("-") && self.path.is_file()
    }

    pub(crate) fn name(&self) -> String {
        display_name(Some(self.path))
    }

    fn options(&self) -> Result<Options, Failure> {
        let text = match self.column {
            Some(column) => vec![column.to_owned()],
            None => TEXT_COLUMNS.map(str::to_owned).to_vec(),
        };
        let field = |names: Vec<String>, option: &str, numbers: bool| {
            let hint = format!("{option} names another");
            Field { names, hint, numbers }
        };
        let mut fields = vec![field(text, "--column", false)];
        fields.extend(self.label_column.map(|it| field(vec![it.to_owned()], "--label-column", true)));
        let format = self.format()?;
        if self.delimiter.is_some() && !matches!(format, Format::Csv | Format::Tsv) {
            let problem = "--delimiter requires a .csv or .tsv file, or --format csv";
            return Err(Failure::Usage(format!("{}: {problem}", self.name())));
        }
        Ok(Options {
            format,
            delimiter: self.delimiter,
            delimiter_hint: "--delimiter names it".into(),
            fields,
        })
    }

    /// Returns the requested format, or the one that the extension of the name gives.
    pub(crate) fn format(&self) -> Result<Format, Failure> {
        match self.format {
            Some(format) => Ok(format),
            None if self.path == Path::new("-") => Ok(Format::Txt),
            None => Format::of_name(self.path).map_err(|error| {
                Failure::Usage(format!("{error}; use --format for a file with another name"))
            }),
        }
    }
}

fn fail(name: &str, problem: impl std::fmt::Display) -> Failure {
    Failure::run(format_args!("{name}: {problem}"))
}

/// Returns the name of an input for messages.
pub(crate) fn display_name(path: Option<&Path>) -> String {
    match path {
        None => "command line".to_owned(),
        Some(path) if path == Path::new("-") => "standard input".to_owned(),
        Some(path) => path.display().to_string(),
    }
}
