//! Labelled texts in `.tsv`, `.csv` and `.jsonl` files, each also with `.zst` after it.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::leave_out::LeaveOut;
use super::open_text;
use crate::error::{Error, Result};

/// A file and which of its fields mean what.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The file. TSV is read without quoting, as the GLUE tasks write it; CSV with.
    pub path: PathBuf,
    /// Column or key of the text.
    #[serde(default = "text_field")]
    pub text: String,
    /// Column or key of the label.
    #[serde(default = "label_field")]
    pub label: String,
    /// What a value of the label's field means, where it is neither a label's name nor its number.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Values of the label's field whose rows are left out.
    #[serde(default)]
    pub skip: Vec<String>,
    /// Rows are read only where these fields have these values: `{ split = "train" }`.
    #[serde(default)]
    pub only: BTreeMap<String, String>,
    /// Labels of which the source knows whether they apply, where those are not all: a text that it calls positive may be
    /// neutral to whoever has that label, too.
    #[serde(default)]
    pub knows: Vec<String>,
    /// A table whose rows are left out: those that agree with one of its lines in all of its columns.
    #[serde(default)]
    pub leave_out: Option<PathBuf>,
}

fn text_field() -> String {
    "text".to_owned()
}

fn label_field() -> String {
    "label".to_owned()
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// The text.
    pub text: String,
    /// Index of its label.
    pub label: usize,
}

/// A row as it stands in the file.
struct Row {
    text: String,
    label: String,
    line: u64,
}

impl Source {
    /// `path` with the usual names of fields.
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            text: text_field(),
            label: label_field(),
            labels: BTreeMap::new(),
            skip: Vec::new(),
            only: BTreeMap::new(),
            knows: Vec::new(),
            leave_out: None,
        }
    }

    /// All rows; `names` are the labels in the order of their numbers.
    pub fn read(&self, names: &[String]) -> Result<Vec<Example>> {
        let rows = self.rows(true)?;
        rows.into_iter().map(|row| self.example(row, names)).collect()
    }

    /// Paths in it, to be resolved against the settings' folder.
    pub fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        [&mut self.path].into_iter().chain(&mut self.leave_out)
    }

    /// For each label of `names` whether the source knows of it; nothing where it knows of all.
    pub fn known(&self, names: &[String]) -> Result<Option<Arc<[bool]>>> {
        if let Some(name) = self.knows.iter().find(|name| !names.contains(name)) {
            return Err(self.refuse("knows".to_owned(), name, &format!("labels among {}", names.join(", "))));
        }
        if self.knows.len() == 1 {
            return Err(self.refuse(
                "knows".to_owned(),
                &self.knows[0],
                "two labels at least, or none for all",
            ));
        }
        let known: Arc<[bool]> = names.iter().map(|name| self.knows.contains(name)).collect();
        Ok((known.contains(&true) && known.contains(&false)).then_some(known))
    }

    /// The texts of all rows; there need be no labels.
    pub fn read_texts(&self) -> Result<Vec<String>> {
        Ok(self.rows(false)?.into_iter().map(|row| row.text).collect())
    }

    fn rows(&self, labelled: bool) -> Result<Vec<Row>> {
        let input = open_text(&self.path)?;
        let name =
            self.path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        let rows = match Path::new(name.trim_end_matches(".zst")).extension().and_then(|it| it.to_str()) {
            Some("tsv") => self.read_table(input, b'\t', false, labelled),
            Some("csv") => self.read_table(input, b',', true, labelled),
            Some("jsonl") => self.read_json_lines(input, labelled),
            _ => Err(self.refuse("name".to_owned(), &name, ".tsv, .csv or .jsonl, and .zst after it or not")),
        }?;
        if rows.is_empty() {
            return Err(self.refuse("rows".to_owned(), "none that count", "at least one"));
        }
        Ok(rows)
    }

    fn read_table(
        &self,
        input: Box<dyn BufRead + Send>,
        delimiter: u8,
        quoting: bool,
        labelled: bool,
    ) -> Result<Vec<Row>> {
        let mut reader =
            csv::ReaderBuilder::new().delimiter(delimiter).quoting(quoting).flexible(true).from_reader(input);
        let refuse = |error: csv::Error| match error.into_kind() {
            csv::ErrorKind::Io(source) => Error::Read { file: self.path.clone(), source },
            csv::ErrorKind::Utf8 { pos, err } => {
                let line = pos.map_or(1, |it| it.line());
                self.refuse(format!("line {line}"), &err.to_string(), "text in UTF-8")
            }
            other => self.refuse("content".to_owned(), &format!("{other:?}"), "a table in UTF-8"),
        };
        let header = reader.headers().map_err(refuse)?.clone();
        let column = |wanted: &str| {
            header.iter().position(|name| name == wanted).ok_or_else(|| {
                let columns: Vec<&str> = header.iter().collect();
                let found = format!("the columns {}", columns.join(", "));
                self.refuse("line 1".to_owned(), &found, &format!("a column {wanted}"))
            })
        };
        let text = column(&self.text)?;
        let label = if labelled { Some(column(&self.label)?) } else { None };
        let conditions = self
            .only
            .iter()
            .map(|(name, value)| Ok((column(name)?, value.as_str())))
            .collect::<Result<Vec<_>>>()?;
        let left_out = self.leave_out.as_deref().map(LeaveOut::read).transpose()?;
        let columns = left_out.iter().flat_map(|it| &it.columns).map(|it| column(it));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let is_left_out = |record: &csv::StringRecord| {
            let of = || columns.iter().map(|&column| record[column].to_owned()).collect::<Vec<String>>();
            left_out.as_ref().is_some_and(|it| it.rows.contains(&of()))
        };
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.map_err(refuse)?;
            let line = record.position().map_or(0, csv::Position::line);
            if record.len() != header.len() {
                let found = format!("{} fields", record.len());
                return Err(self.refuse(
                    format!("line {line}"),
                    &found,
                    &format!("{} as in line 1", header.len()),
                ));
            }
            if conditions.iter().all(|&(column, value)| &record[column] == value) && !is_left_out(&record) {
                let label = label.map_or("", |label| &record[label]).to_owned();
                rows.extend(self.row(record[text].to_owned(), label, line));
            }
        }
        Ok(rows)
    }

    fn read_json_lines(&self, input: Box<dyn BufRead + Send>, labelled: bool) -> Result<Vec<Row>> {
        let left_out = self.leave_out.as_deref().map(LeaveOut::read).transpose()?;
        let mut rows = Vec::new();
        for (line, content) in (1..).zip(input.split(b'\n')) {
            let content = content.map_err(Error::read(&self.path))?;
            let content = std::str::from_utf8(&content)
                .map_err(|error| self.refuse(format!("line {line}"), &error.to_string(), "text in UTF-8"))?;
            // A mark of the byte order, which editors on Windows put before the first line.
            let content = content.strip_prefix('\u{feff}').filter(|_| line == 1).unwrap_or(content);
            if content.trim().is_empty() {
                continue;
            }
            let object: Value = serde_json::from_str(content).map_err(|error| {
                self.refuse(format!("line {line}"), &format!("no JSON ({error})"), "a JSON object")
            })?;
            let field = |name: &str| match object.get(name) {
                Some(Value::String(text)) => Ok(text.clone()),
                Some(value @ (Value::Number(_) | Value::Bool(_))) => Ok(value.to_string()),
                other => {
                    let found = other.map_or("nothing".to_owned(), Value::to_string);
                    Err(self.refuse(format!("line {line}, {name}"), &found, "a text or a number"))
                }
            };
            let mut counts = true;
            for (name, value) in &self.only {
                counts &= field(name)? == *value;
            }
            if let Some(left_out) = &left_out {
                let values = left_out.columns.iter().map(|it| field(it)).collect::<Result<Vec<_>>>()?;
                counts &= !left_out.rows.contains(&values);
            }
            if counts {
                let label = if labelled { field(&self.label)? } else { String::new() };
                rows.extend(self.row(field(&self.text)?, label, line));
            }
        }
        Ok(rows)
    }

    /// None for a row that is to be skipped.
    fn row(&self, text: String, label: String, line: u64) -> Option<Row> {
        (!self.skip.contains(&label)).then_some(Row { text, label, line })
    }

    fn example(&self, row: Row, names: &[String]) -> Result<Example> {
        let value = row.label.as_str();
        let name = self.labels.get(value).map_or(value, String::as_str);
        let number = name.parse().ok().filter(|&number: &usize| number < names.len());
        match names.iter().position(|it| it == name).or(number) {
            Some(label) if !self.knows.is_empty() && !self.knows.contains(&names[label]) => {
                let expected = format!("one that `knows` names: {}", self.knows.join(", "));
                Err(self.refuse(format!("line {}, {}", row.line, self.label), &names[label], &expected))
            }
            Some(label) => Ok(Example { text: row.text, label }),
            None => {
                let expected = format!("one of {} or its number from 0", names.join(", "));
                let found = if name == value {
                    value.to_owned()
                } else {
                    format!("{value}, which is to mean {name}")
                };
                Err(self.refuse(format!("line {}, {}", row.line, self.label), &found, &expected))
            }
        }
    }

    fn refuse(&self, field: String, found: &str, expected: &str) -> Error {
        Error::field(&self.path, field, found, expected)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn names() -> Vec<String> {
        vec!["NEGATIVE".to_owned(), "POSITIVE".to_owned()]
    }

    fn read(
        name: &str,
        content: impl AsRef<[u8]>,
        change: impl Fn(&mut Source),
    ) -> Result<Vec<(String, usize)>> {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join(name);
        let bytes = content.as_ref();
        let packed = name.ends_with(".zst").then(|| zstd::encode_all(bytes, 1).unwrap());
        fs::write(&path, packed.as_deref().unwrap_or(bytes)).unwrap();
        let mut source = Source::new(path);
        change(&mut source);
        Ok(source.read(&names())?.into_iter().map(|it| (it.text, it.label)).collect())
    }

    #[test]
    fn every_format_gives_the_same_rows() {
        let expected = vec![("it 's \"fine\"".to_owned(), 1), ("no".to_owned(), 0)];
        let tsv = "text\tlabel\nit 's \"fine\"\t1\nno\tNEGATIVE\n";
        let csv = "label,text\n1,\"it 's \"\"fine\"\"\"\n0,no\n";
        let json =
            "{\"text\": \"it 's \\\"fine\\\"\", \"label\": 1}\n\n{\"text\": \"no\", \"label\": \"0\"}\n";
        let marked = format!("\u{feff}{json}");
        for (name, content) in
            [("a.tsv", tsv), ("a.csv", csv), ("a.jsonl", json), ("a.jsonl", &marked), ("a.tsv.zst", tsv)]
        {
            assert_eq!(read(name, content, |_| {}).unwrap(), expected, "{name}");
        }
    }

    #[test]
    fn five_classes_can_be_read_as_two_and_splits_apart() {
        let content = "label5\tphrase\tsplit\n0\ta\ttrain\n2\tb\ttrain\n4\tc\tdev\n3\td\ttrain\n";
        let rows = read("a.tsv", content, |source| {
            (source.text, source.label) = ("phrase".to_owned(), "label5".to_owned());
            source.labels = [("3", "POSITIVE"), ("4", "POSITIVE")].map(|(a, b)| (a.into(), b.into())).into();
            source.skip = vec!["2".to_owned()];
            source.only = [("split".to_owned(), "train".to_owned())].into();
        });
        assert_eq!(rows.unwrap(), [("a".to_owned(), 0), ("d".to_owned(), 1)]);
    }

    /// Reviews of other ratings share numbers.
    #[test]
    fn rows_are_left_out_by_all_columns_of_a_table() {
        let root = tempfile::tempdir().unwrap();
        let table = root.path().join("leave_out.tsv");
        fs::write(&table, "id\tlabel\n7\t1\n9\t0\n").unwrap();
        let leave_out = |source: &mut Source| source.leave_out = Some(table.clone());
        let rows = "label\tid\ttext\n1\t7\ta\n0\t7\tb\n1\t9\tc\n";
        let expected = vec![("b".to_owned(), 0), ("c".to_owned(), 1)];
        assert_eq!(read("a.tsv", rows, leave_out).unwrap(), expected);
        let rows = "{\"id\": 7, \"label\": 1, \"text\": \"a\"}\n{\"id\": 7, \"label\": 0, \"text\": \"b\"}\n\
                    {\"id\": 9, \"label\": 1, \"text\": \"c\"}\n";
        assert_eq!(read("a.jsonl", rows, leave_out).unwrap(), expected);
        let error = read("a.tsv", "label\ttext\n1\ta\n", leave_out).unwrap_err().to_string();
        assert!(error.contains("line 1: found the columns label, text, expected a column id"), "{error}");
    }

    #[test]
    fn a_source_says_which_labels_it_knows() {
        let names: Vec<String> = ["NEGATIVE", "NEUTRAL", "POSITIVE"].map(String::from).to_vec();
        let mut source = Source::new(PathBuf::from("a.tsv"));
        assert_eq!(source.known(&names).unwrap(), None);
        source.knows = vec!["POSITIVE".to_owned(), "NEGATIVE".to_owned()];
        assert_eq!(source.known(&names).unwrap().as_deref(), Some(&[true, false, true][..]));
        source.knows = names.clone();
        assert_eq!(source.known(&names).unwrap(), None);
        for (knows, expected) in [
            ("MIXED", "knows: found MIXED, expected labels among NEG"),
            ("NEUTRAL", "expected two labels at least"),
        ] {
            source.knows = vec![knows.to_owned()];
            let error = source.known(&names).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let only_b = |source: &mut Source| source.knows = vec!["NEGATIVE".to_owned()];
        let error = read("a.tsv", "text\tlabel\nx\t1\n", only_b).unwrap_err().to_string();
        assert!(
            error.contains("line 2, label: found POSITIVE, expected one that `knows` names: NEG"),
            "{error}"
        );
    }

    #[test]
    fn bad_rows_are_named() {
        let cases = [
            (
                "a.tsv",
                "sentence\tlabel\nx\t1\n",
                "line 1: found the columns sentence, label, expected a column text",
            ),
            ("a.tsv", "text\tlabel\nx\t1\ny\n", "line 3: found 1 fields, expected 2 as in line 1"),
            (
                "a.tsv",
                "text\tlabel\nx\t7\n",
                "line 2, label: found 7, expected one of NEGATIVE, POSITIVE or its number",
            ),
            ("a.jsonl", "{\"label\": 1}\n", "line 1, text: found nothing, expected a text or a number"),
            ("a.jsonl", "{\n", "line 1: found no JSON"),
            ("a.txt", "x\n", "name: found a.txt, expected .tsv, .csv or .jsonl"),
            ("a.tsv", "text\tlabel\n", "rows: found none that count, expected at least one"),
        ];
        for (name, content, expected) in cases {
            let error = read(name, content, |_| {}).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let cases: [(&str, &[u8], &str); 2] = [
            ("a.tsv", b"text\tlabel\nx\t1\n\xff\t0\n", "line 3: found invalid utf-8"),
            ("a.jsonl", b"{\"text\": \"x\", \"label\": 1}\n\xff\n", "line 2: found invalid utf-8"),
        ];
        for (name, content, expected) in cases {
            let error = read(name, content, |_| {}).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let error = read("a.tsv", "text\tlabel\nx\tgood\n", |source| {
            source.labels = [("good".to_owned(), "POSITIV".to_owned())].into();
        });
        let error = error.unwrap_err().to_string();
        assert!(error.contains("label: found good, which is to mean POSITIV, expected one of"), "{error}");
    }
}
