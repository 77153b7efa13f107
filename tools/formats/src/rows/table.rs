//! Tables with a header. Fields are separated by commas and quoted as in RFC 4180, or separated by
//! tabs without quoting.
//!
//! The `csv` crate accepts a quote that is never closed and text after a closing quote. It then
//! merges rows. This module therefore finds the end of each row itself, with the few states of RFC
//! 4180, and passes one row at a time to `csv-core`, which splits it into fields.

use std::io::{self, BufRead};
use std::path::{Path, PathBuf};

use csv_core::ReadRecordResult;

use super::{Field, Format, MAX_LINE, MAX_RECORD, Options, Problem, Row, Rows, Table, too_long, utf8};
use crate::error::{Error, quoted, quoted_list};
use crate::file::{LFS_POINTER, lfs_pointer};

/// Common delimiters besides the comma, in the order in which [`other_delimiter`] looks for them.
const DELIMITERS: [(char, &str); 3] = [(';', "';'"), ('\t', "a tab"), ('|', "'|'")];

/// Reads the header, finds the columns of the fields, and returns the rows.
pub(super) fn rows(
    name: PathBuf,
    reader: impl BufRead + Send + 'static,
    options: Options,
) -> Result<Rows, Error> {
    let (header, records) = open(&name, reader, options.format, options.delimiter)?;
    let columns = options
        .fields
        .iter()
        .map(|field| {
            column(&header, field).map_err(|found| {
                let expected = field.expected("a column") + &other_delimiter(&header, &options);
                Error::Field { file: name.clone(), field: "line 1".to_owned(), found, expected }
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(select(name, header, records, columns))
}

/// Reads the header and returns the rows with the values of all columns.
pub(super) fn whole(
    name: PathBuf,
    reader: impl BufRead + Send + 'static,
    format: Format,
    delimiter: Option<u8>,
) -> Result<Table, Error> {
    let (header, records) = open(&name, reader, format, delimiter)?;
    let columns = (0..header.len()).collect();
    Ok(Table { rows: select(name, header.clone(), records, columns), header })
}

fn open<R: BufRead>(
    name: &Path,
    reader: R,
    format: Format,
    delimiter: Option<u8>,
) -> Result<(Vec<String>, Records<R>), Error> {
    let quoting = format == Format::Csv;
    let delimiter = delimiter.unwrap_or(if quoting { b',' } else { b'\t' });
    let mut records = Records::new(reader, delimiter, quoting);
    match records.next() {
        None => Err(Error::field(name, "line 1", "no header", "the names of the columns")),
        Some(Err(source)) => Err(Error::read(name, source)),
        Some(Ok((line, record))) => {
            let header =
                record.and_then(|record| record.iter().map(|it| utf8(it)).collect::<Result<Vec<_>, _>>());
            let header = header.map_err(|problem| problem.in_file(name, line))?;
            if header.first().is_some_and(|column| column.as_bytes().starts_with(LFS_POINTER)) {
                return Err(lfs_pointer(name));
            }
            Ok((header, records))
        }
    }
}

/// Returns the rows with the values of `columns` only.
fn select(
    name: PathBuf,
    header: Vec<String>,
    mut records: Records<impl BufRead + Send + 'static>,
    columns: Vec<usize>,
) -> Rows {
    Box::new(std::iter::from_fn(move || {
        let (line, record) = match records.next()? {
            Ok(next) => next,
            Err(source) => return Some(Err(Error::read(&name, source))),
        };
        let values = record.and_then(|record| {
            if record.len() != header.len() {
                let found =
                    if record.len() == 1 { "1 field".into() } else { format!("{} fields", record.len()) };
                return Err(Problem::new(found, format!("{}, as in the header", header.len())));
            }
            let cell = |&column: &usize| {
                let value = utf8(record.get(column).map_or(&[][..], Vec::as_slice));
                value.map_err(|problem| Problem { field: Some(quoted(&header[column])), ..problem })
            };
            columns.iter().map(cell).collect()
        });
        Some(Ok(Row { line, values }))
    }))
}

/// Returns the index of the column of `field`. The error describes the columns that were found.
fn column(header: &[String], field: &Field) -> Result<usize, String> {
    for wanted in &field.names {
        let is = |name: &String| name == wanted || name.trim() == wanted;
        let columns: Vec<usize> = (0..header.len()).filter(|&column| is(&header[column])).collect();
        match columns.as_slice() {
            [] => {}
            [column] => return Ok(*column),
            more => return Err(format!("{} columns {}", more.len(), quoted(wanted))),
        }
    }
    Err(format!("the columns {}", quoted_list(header.iter().map(String::as_str))))
}

/// Returns a hint if the header has only one column and its name contains another delimiter.
fn other_delimiter(header: &[String], options: &Options) -> String {
    let [only] = header else { return String::new() };
    match DELIMITERS.iter().find(|(delimiter, _)| only.contains(*delimiter)) {
        Some((_, name)) => {
            format!("; the columns seem to be separated by {name}: {}", options.delimiter_hint)
        }
        None => String::new(),
    }
}

/// Position of a byte within a row that may have quoted fields.
#[derive(Clone, Copy)]
enum State {
    FieldStart,
    /// Inside spaces at the start of a field.
    Space,
    Unquoted,
    Quoted,
    /// After a quote in a quoted field. It is the end of the field, or the first of two quotes that
    /// stand for one.
    QuoteInQuoted,
}

/// Splits a table into rows, and rows into fields.
struct Records<R> {
    lines: Lines<R>,
    delimiter: u8,
    quoting: bool,
    parser: csv_core::Reader,
}

/// Line on which a row begins, counted from 1, and its fields.
type Record = (u64, Result<Vec<Vec<u8>>, Problem>);

impl<R: BufRead> Records<R> {
    fn new(reader: R, delimiter: u8, quoting: bool) -> Self {
        let parser = csv_core::ReaderBuilder::new().delimiter(delimiter).quoting(quoting).build();
        Self { lines: Lines::new(reader), delimiter, quoting, parser }
    }

    /// Returns the next row. Empty lines are skipped. If a quote in a row is broken, only the first
    /// line of the row is consumed: the next row starts at its second line.
    fn next(&mut self) -> Option<io::Result<Record>> {
        let mut bytes = Vec::new();
        let line = loop {
            let line = self.lines.line;
            match self.lines.read(&mut bytes) {
                Ok(false) => return None,
                Ok(true) if bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n')) => bytes.clear(),
                Ok(true) => break line,
                Err(error) => return Some(Err(error)),
            }
        };
        let first_line = bytes.len();
        let record = match self.whole(&mut bytes) {
            Ok(Ok(())) => Ok(self.fields(&bytes)),
            Ok(Err(problem)) => {
                self.lines.unread(&bytes[first_line..], line + 1);
                Err(problem)
            }
            Err(error) => return Some(Err(error)),
        };
        Some(Ok((line, record)))
    }

    /// Appends the further lines of the row that begins in `bytes`.
    fn whole(&mut self, bytes: &mut Vec<u8>) -> io::Result<Result<(), Problem>> {
        if !self.quoting {
            return Ok(Ok(()));
        }
        let (mut state, mut at) = (State::FieldStart, 0);
        loop {
            while let Some(&byte) = bytes.get(at) {
                state = match (state, byte) {
                    (State::FieldStart, b'"') => State::Quoted,
                    (State::Quoted, b'"') => State::QuoteInQuoted,
                    (State::QuoteInQuoted, b'"') => State::Quoted,
                    (State::Quoted, _) => State::Quoted,
                    (_, byte) if byte == self.delimiter => State::FieldStart,
                    (_, b'\r' | b'\n') => return Ok(Ok(())),
                    (State::QuoteInQuoted, _) => {
                        let expected =
                            "the delimiter or the end of the line there; a quote within a field is doubled";
                        return Ok(Err(Problem::new("text after a closing quote", expected)));
                    }
                    (State::Space, b'"') => {
                        let expected = "the quote at the start of the field, or the field without quotes";
                        return Ok(Err(Problem::new("white space before a quote", expected)));
                    }
                    (State::FieldStart | State::Space, b' ') => State::Space,
                    (State::FieldStart | State::Space | State::Unquoted, _) => State::Unquoted,
                };
                at += 1;
            }
            if !matches!(state, State::Quoted) {
                return Ok(Ok(()));
            }
            let unclosed = |limit: &str| {
                let found = format!("a quote that opens a field and is not closed {limit}");
                Ok(Err(Problem::new(found, "a closing quote; a quote within a field is doubled")))
            };
            if bytes.len() > MAX_RECORD {
                return unclosed(&format!("within {MAX_RECORD} bytes"));
            }
            if !self.lines.read(bytes)? {
                return unclosed("before the end of the file");
            }
        }
    }

    /// Splits a row into its fields.
    fn fields(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        self.parser.reset();
        // The fields together are no longer than the row, and each field but the last ends at a
        // byte of the row.
        let mut text = vec![0; bytes.len() + 1];
        let mut ends = vec![0; bytes.len() + 1];
        let (mut read, mut written, mut fields) = (0, 0, 0);
        loop {
            let (result, input, output, more) =
                self.parser.read_record(&bytes[read..], &mut text[written..], &mut ends[fields..]);
            read += input;
            written += output;
            fields += more;
            // `Record` is the end of the row. `End` follows when the input is used up, as at the
            // end of a file.
            if matches!(result, ReadRecordResult::Record | ReadRecordResult::End) {
                break;
            }
        }
        let starts = std::iter::once(0).chain(ends.iter().copied());
        starts.zip(&ends[..fields]).map(|(start, &end)| text[start..end].to_vec()).collect()
    }
}

/// Splits the input into lines. A line ends with a line feed, a carriage return, or both.
struct Lines<R> {
    reader: R,
    /// Number of the next line, counted from 1.
    line: u64,
    /// Bytes that [`Lines::unread`] returned. Those from index `replayed` on are read before the
    /// reader continues.
    again: Vec<u8>,
    replayed: usize,
}

impl<R: BufRead> Lines<R> {
    fn new(reader: R) -> Self {
        Self { reader, line: 1, again: Vec::new(), replayed: 0 }
    }

    /// Appends the next line with its line ending to `into`. Returns `false` at the end of the
    /// input.
    fn read(&mut self, into: &mut Vec<u8>) -> io::Result<bool> {
        let before = into.len();
        loop {
            let available = self.available()?;
            if available.is_empty() {
                break;
            }
            let end = available.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let length = end.map_or(available.len(), |end| end + 1);
            into.extend(&available[..length]);
            self.consume(length);
            if into.len() - before > MAX_LINE {
                return Err(too_long(self.line));
            }
            if end.is_some() {
                if into.last() == Some(&b'\r') && self.available()?.first() == Some(&b'\n') {
                    into.push(b'\n');
                    self.consume(1);
                }
                break;
            }
        }
        let any = into.len() > before;
        self.line += u64::from(any);
        Ok(any)
    }

    /// Returns `bytes` to the input. They are read next and begin with line `line`.
    fn unread(&mut self, bytes: &[u8], line: u64) {
        let rest = self.again.split_off(self.replayed);
        self.again = [bytes, &rest].concat();
        self.replayed = 0;
        self.line = line;
    }

    fn available(&mut self) -> io::Result<&[u8]> {
        if self.replayed < self.again.len() {
            return Ok(&self.again[self.replayed..]);
        }
        loop {
            match self.reader.fill_buf() {
                // `read_until` of the standard library retries in the same way.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(_) => break,
            }
        }
        self.reader.fill_buf()
    }

    fn consume(&mut self, length: usize) {
        if self.replayed < self.again.len() {
            self.replayed += length;
        } else {
            self.reader.consume(length);
        }
    }
}
