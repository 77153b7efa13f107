//! Texts from the command line, from files and from standard input, one at a time. A bad row is an item like any
//! other, so that the rows after it are still read.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use crate::args::{Format, InputArgs};
use crate::failure::Failure;

/// What some editors begin UTF-8 files with.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Names that a column with the text may have.
const TEXT_COLUMNS: [&str; 2] = ["text", "sentence"];

/// One row of the input.
pub(crate) struct Row {
    /// Line where it begins, counted from 1.
    pub line: u64,
    /// What it holds, or what is wrong with it.
    pub content: Result<Content, String>,
}

/// A usable row.
pub(crate) struct Content {
    pub text: String,
    /// The label's column, if one was asked for.
    pub label: Option<String>,
}

/// Rows in input order. An error ends them: the input itself failed.
pub(crate) type Rows = Box<dyn Iterator<Item = Result<Row, Failure>> + Send>;

/// What to read from where.
pub(crate) struct Source<'a> {
    pub path: &'a Path,
    pub format: Option<Format>,
    pub column: Option<&'a str>,
    pub label_column: Option<&'a str>,
}

impl InputArgs {
    /// The texts of the command line, or the rows of its input file.
    pub(crate) fn rows(&self, texts: &[String]) -> Result<Rows, Failure> {
        let Some(path) = &self.input else {
            let row = |(index, text)| {
                let content = Content { text, label: None };
                Ok(Row { line: index as u64 + 1, content: Ok(content) })
            };
            let texts = texts.to_vec();
            return Ok(Box::new(texts.into_iter().enumerate().map(row)));
        };
        let column = self.column.as_deref();
        Source { path, format: self.format, column, label_column: None }.rows()
    }
}

impl Source<'_> {
    /// Opens the input and reads its header, if it has one.
    pub(crate) fn rows(&self) -> Result<Rows, Failure> {
        let name = self.name();
        let format = self.format()?;
        let reader: Box<dyn Read + Send> = if self.path == Path::new("-") {
            Box::new(io::stdin())
        } else {
            let file = File::open(self.path).map_err(|error| fail(&name, error))?;
            if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
                return Err(fail(&name, "is a directory, expected a file"));
            }
            Box::new(file)
        };
        let mut reader = BufReader::with_capacity(1 << 16, reader);
        let beginning = reader.fill_buf().map_err(|error| fail(&name, error))?;
        if beginning.is_empty() || beginning == BYTE_ORDER_MARK {
            return Err(fail(&name, "is empty, expected at least one text"));
        }
        if beginning.starts_with(&[0xff, 0xfe]) || beginning.starts_with(&[0xfe, 0xff]) {
            return Err(fail(&name, "is in UTF-16, expected UTF-8"));
        }
        match format {
            Format::Txt => Ok(lines(name, reader, |line| Some(Ok(Content { text: line, label: None })))),
            Format::Jsonl => {
                let column = self.column.map(str::to_owned);
                let label_column = self.label_column.map(str::to_owned);
                Ok(lines(name, reader, move |line| {
                    let blank = line.trim().is_empty();
                    (!blank).then(|| json(&line, column.as_deref(), label_column.as_deref()))
                }))
            }
            Format::Csv | Format::Tsv => self.table(name, reader, format),
        }
    }

    fn name(&self) -> String {
        if self.path == Path::new("-") {
            "standard input".to_owned()
        } else {
            self.path.display().to_string()
        }
    }

    /// The format asked for, or the one that the name tells.
    pub(crate) fn format(&self) -> Result<Format, Failure> {
        if let Some(format) = self.format {
            return Ok(format);
        }
        if self.path == Path::new("-") {
            return Ok(Format::Txt);
        }
        let extension = self.path.extension().and_then(|extension| extension.to_str());
        match extension.map(str::to_ascii_lowercase).as_deref() {
            Some("csv") => Ok(Format::Csv),
            Some("tsv") => Ok(Format::Tsv),
            Some("jsonl" | "ndjson") => Ok(Format::Jsonl),
            Some("txt") | None => Ok(Format::Txt),
            Some(other) => Err(Failure::Usage(format!(
                "{}: unknown extension .{other}, expected .txt, .csv, .tsv or .jsonl, or --format",
                self.name()
            ))),
        }
    }

    fn table(
        &self,
        name: String,
        reader: impl BufRead + Send + 'static,
        format: Format,
    ) -> Result<Rows, Failure> {
        let mut builder = csv::ReaderBuilder::new();
        if format == Format::Tsv {
            builder.delimiter(b'\t').quoting(false);
        }
        let beginnings = Beginnings::default();
        let mut reader = builder.from_reader(LineReader::new(reader, beginnings.clone()));
        let header = reader.headers().map_err(|error| fail(&name, error))?.clone();
        let find = |wanted: &[&str]| {
            let column = wanted.iter().find_map(|wanted| header.iter().position(|name| name == *wanted));
            column.ok_or_else(|| {
                let found = header.iter().collect::<Vec<_>>().join(", ");
                fail(&name, format_args!("no column {} found, only {found}", wanted.join(" or ")))
            })
        };
        let text = find(self.column.as_ref().map_or(&TEXT_COLUMNS[..], std::slice::from_ref))?;
        let label = self.label_column.map(|column| find(&[column])).transpose()?;
        let mut record = csv::ByteRecord::new();
        Ok(Box::new(std::iter::from_fn(move || match reader.read_byte_record(&mut record) {
            Ok(false) => None,
            Ok(true) => {
                let line = beginnings.line(record.position());
                Some(Ok(Row { line, content: cells(&record, text, label) }))
            }
            Err(error) => match error.kind() {
                csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
                    let line = beginnings.line(pos.as_ref());
                    let content = Err(format!("{len} fields found, {expected_len} expected"));
                    Some(Ok(Row { line, content }))
                }
                _ => Some(Err(fail(&name, error))),
            },
        })))
    }
}

/// Where in the bytes that were read the lines with anything on them begin. The parser's own positions are in front of what it
/// skips before a row: the line feed of the row before, where a carriage return ended that, and empty lines.
#[derive(Clone, Default)]
struct Beginnings(Arc<Mutex<VecDeque<(u64, u64)>>>);

impl Beginnings {
    /// The line of the row at `position`; positions must not go back.
    fn line(&self, position: Option<&csv::Position>) -> u64 {
        let Some(position) = position else { return 0 };
        let mut beginnings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while beginnings.front().is_some_and(|(byte, _)| *byte < position.byte()) {
            beginnings.pop_front();
        }
        beginnings.front().map_or_else(|| position.line(), |(_, line)| *line)
    }
}

/// Fills [`Beginnings`] as it is read.
struct LineReader<R> {
    inner: R,
    beginnings: Beginnings,
    byte: u64,
    line: u64,
    /// Whether the present line has nothing on it so far.
    empty: bool,
}

impl<R> LineReader<R> {
    fn new(inner: R, beginnings: Beginnings) -> Self {
        Self { inner, beginnings, byte: 0, line: 1, empty: true }
    }
}

impl<R: Read> Read for LineReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let mut beginnings = self.beginnings.0.lock().unwrap_or_else(PoisonError::into_inner);
        for byte in &buffer[..read] {
            match byte {
                b'\n' => {
                    self.line += 1;
                    self.empty = true;
                }
                b'\r' => {}
                _ if self.empty => {
                    beginnings.push_back((self.byte, self.line));
                    self.empty = false;
                }
                _ => {}
            }
            self.byte += 1;
        }
        Ok(read)
    }
}

fn fail(name: &str, problem: impl std::fmt::Display) -> Failure {
    Failure::run(format_args!("{name}: {problem}"))
}

fn cells(record: &csv::ByteRecord, text: usize, label: Option<usize>) -> Result<Content, String> {
    let cell = |index: usize| {
        let bytes = record.get(index).unwrap_or_default();
        String::from_utf8(bytes.to_vec()).map_err(|_| "invalid UTF-8 found, expected text".to_owned())
    };
    Ok(Content { text: cell(text)?, label: label.map(cell).transpose()? })
}

/// Splits at line feeds; a carriage return before one and a byte order mark at the start are dropped too. `parse` gives
/// `None` for a line that is no row.
fn lines(
    name: String,
    mut reader: impl BufRead + Send + 'static,
    parse: impl Fn(String) -> Option<Result<Content, String>> + Send + 'static,
) -> Rows {
    let mut line = 0;
    let mut bytes = Vec::new();
    Box::new(std::iter::from_fn(move || {
        loop {
            bytes.clear();
            match reader.read_until(b'\n', &mut bytes) {
                Ok(0) => return None,
                Ok(_) => line += 1,
                Err(error) => return Some(Err(fail(&name, error))),
            }
            let text =
                bytes.strip_suffix(b"\n").map_or(&bytes[..], |rest| rest.strip_suffix(b"\r").unwrap_or(rest));
            let text = text.strip_prefix(BYTE_ORDER_MARK).filter(|_| line == 1).unwrap_or(text);
            let content = match String::from_utf8(text.to_vec()) {
                Ok(text) => parse(text),
                Err(_) => Some(Err("invalid UTF-8 found, expected text".to_owned())),
            };
            if let Some(content) = content {
                return Some(Ok(Row { line, content }));
            }
        }
    }))
}

fn json(line: &str, column: Option<&str>, label_column: Option<&str>) -> Result<Content, String> {
    let value: Value = serde_json::from_str(line).map_err(|error| format!("invalid JSON: {error}"))?;
    let names = column.as_ref().map_or(&TEXT_COLUMNS[..], std::slice::from_ref);
    let found = names.iter().find_map(|name| value.get(name));
    let text = match found {
        Some(Value::String(text)) => text.clone(),
        Some(_) => return Err(format!("field {} is no string", names.join(" or "))),
        None => return Err(format!("no field {} found", names.join(" or "))),
    };
    let label = match label_column.map(|name| (name, value.get(name))) {
        None => None,
        Some((_, Some(Value::String(label)))) => Some(label.clone()),
        Some((_, Some(Value::Number(label)))) => Some(label.to_string()),
        Some((name, _)) => return Err(format!("no field {name} with a string or a number found")),
    };
    Ok(Content { text, label })
}

/// Path of an input for messages.
pub(crate) fn display_name(path: Option<&PathBuf>) -> String {
    match path {
        None => "command line".to_owned(),
        Some(path) if path == Path::new("-") => "standard input".to_owned(),
        Some(path) => path.display().to_string(),
    }
}
