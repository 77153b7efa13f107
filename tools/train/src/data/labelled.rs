//! Labelled texts in `.tsv`, `.csv` and `.jsonl` files, optionally with `.zst` appended.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use electra_formats::labels::{Kind, Labels};
use electra_formats::rows;
use serde::{Deserialize, Serialize};

use super::leave_out::LeaveOut;
use super::open_text;
use crate::error::{Error, Result};

/// File of labelled texts, and the meaning of its fields.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Path of the file. TSV is read without quoting, as the GLUE tasks write it; CSV is read with
    /// quoting.
    pub path: PathBuf,
    /// Column or key of the text.
    #[serde(default = "text_field")]
    pub text: String,
    /// Column or key of the label.
    #[serde(default = "label_field")]
    pub label: String,
    /// Delimiter of the fields of a table, if it is not a comma or a tab.
    #[serde(default)]
    pub delimiter: Option<String>,
    /// Content of the label's field. By default it is the kind that fits more rows.
    #[serde(default)]
    pub label_as: Option<LabelAs>,
    /// Labels for values of the label's field that are neither the name nor the number of a label.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Values of the label's field whose rows are left out.
    #[serde(default)]
    pub skip: Vec<String>,
    /// Fields that must have these values in a row that is read: `{ split = "train" }`.
    #[serde(default)]
    pub only: BTreeMap<String, String>,
    /// Labels that the source covers, if it does not cover all. A text that it calls positive may
    /// then be neutral in a source that has that label as well.
    #[serde(default)]
    pub knows: Vec<String>,
    /// Table of rows to leave out. A row is left out if it agrees with a line of the table in all
    /// of the table's columns.
    #[serde(default)]
    pub leave_out: Option<PathBuf>,
}

/// Content of a field of labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LabelAs {
    /// Names of labels.
    Name,
    /// Numbers of labels, from 0.
    Index,
}

fn text_field() -> String {
    "text".to_owned()
}

fn label_field() -> String {
    "label".to_owned()
}

/// A labelled text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// The text.
    pub text: String,
    /// Index of the label.
    pub label: usize,
}

/// A row of the file, with the label as it is written there.
struct Row {
    text: String,
    label: String,
    line: u64,
}

impl Source {
    /// Returns a source of the file `path` with the default field names.
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            text: text_field(),
            label: label_field(),
            delimiter: None,
            label_as: None,
            labels: BTreeMap::new(),
            skip: Vec::new(),
            only: BTreeMap::new(),
            knows: Vec::new(),
            leave_out: None,
        }
    }

    /// Reads all rows. `names` are the labels in the order of their numbers.
    pub fn read(&self, names: &[String]) -> Result<Vec<Example>> {
        let rows = self.rows(true)?;
        let labels = Labels::new(names);
        let kind = self.kind(&rows, &labels);
        rows.into_iter().map(|row| self.example(row, &labels, kind)).collect()
    }

    /// Returns the paths in the source, so that the caller can resolve them against the settings'
    /// folder.
    pub fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        [&mut self.path].into_iter().chain(&mut self.leave_out)
    }

    /// Returns, for each label of `names`, whether the source covers it; `None` if it covers all.
    pub fn known(&self, names: &[String]) -> Result<Option<Arc<[bool]>>> {
        if let Some(name) = self.knows.iter().find(|name| !names.contains(name)) {
            return Err(self.refuse("knows".to_owned(), name, &format!("labels among {}", names.join(", "))));
        }
        if self.knows.len() == 1 {
            return Err(self.refuse(
                "knows".to_owned(),
                &self.knows[0],
                "at least two labels, or none for all",
            ));
        }
        let known: Arc<[bool]> = names.iter().map(|name| self.knows.contains(name)).collect();
        Ok((known.contains(&true) && known.contains(&false)).then_some(known))
    }

    /// Returns the label names of all rows.
    pub fn names(&self) -> Result<BTreeSet<String>> {
        let name = |row: Row| match self.labels.get(&row.label) {
            Some(name) => name.clone(),
            None => row.label.trim().to_owned(),
        };
        Ok(self.rows(true)?.into_iter().map(name).collect())
    }

    /// Reads the texts of all rows, which need not have labels.
    pub fn read_texts(&self) -> Result<Vec<String>> {
        Ok(self.rows(false)?.into_iter().map(|row| row.text).collect())
    }

    /// Reads the rows that are not left out. Their labels are as in the file, or empty if
    /// `labelled` is not set.
    fn rows(&self, labelled: bool) -> Result<Vec<Row>> {
        let left_out = self.leave_out.as_deref().map(LeaveOut::read).transpose()?;
        let field = |name: &str, setting: &str, numbers: bool| {
            let hint = format!("`{setting}` names another");
            rows::Field { names: vec![name.to_owned()], hint, numbers }
        };
        let mut fields = vec![field(&self.text, "text", false)];
        fields.extend(labelled.then(|| field(&self.label, "label", true)));
        fields.extend(self.only.keys().map(|name| field(name, "only", true)));
        let conditions = fields.len();
        fields.extend(left_out.iter().flat_map(|it| &it.columns).map(|name| field(name, "leave_out", true)));
        let options = rows::Options {
            format: self.format()?,
            delimiter: self.delimiter()?,
            delimiter_hint: "`delimiter` names it".to_owned(),
            fields,
        };
        let mut rows = Vec::new();
        for row in rows::read(self.path.clone(), open_text(&self.path)?, options)? {
            let rows::Row { line, values } = row?;
            let values = values.map_err(|problem| problem.in_file(&self.path, line))?;
            let only = values[conditions - self.only.len()..conditions].iter();
            let counts = only.eq(self.only.values())
                && left_out.as_ref().is_none_or(|it| !it.rows.contains(&values[conditions..]));
            if counts {
                let mut values = values.into_iter();
                let text = values.next().unwrap_or_default();
                let label = if labelled { values.next().unwrap_or_default() } else { String::new() };
                if !self.skip.contains(&label) {
                    rows.push(Row { text, label, line });
                }
            }
        }
        if rows.is_empty() {
            return Err(self.refuse("rows".to_owned(), "none that are used", "at least one"));
        }
        Ok(rows)
    }

    fn format(&self) -> Result<rows::Format> {
        let name = self.path.to_string_lossy().into_owned();
        match rows::Format::of_name(Path::new(name.trim_end_matches(".zst")))? {
            rows::Format::Txt => {
                let name = self.path.file_name().unwrap_or_default().to_string_lossy();
                let expected = ".tsv, .csv or .jsonl, optionally followed by .zst";
                Err(self.refuse("name".to_owned(), &name, expected))
            }
            format => Ok(format),
        }
    }

    fn delimiter(&self) -> Result<Option<u8>> {
        match self.delimiter.as_deref().map(str::as_bytes) {
            None => Ok(None),
            Some([byte]) if byte.is_ascii() && !matches!(byte, b'"' | b'\r' | b'\n') => Ok(Some(*byte)),
            Some(_) => {
                let found = format!("{:?}", self.delimiter.as_deref().unwrap_or_default());
                Err(self.refuse("delimiter".to_owned(), &found, "one ASCII character"))
            }
        }
    }

    /// Decides from all rows together whether the label's column holds names or numbers of labels.
    fn kind(&self, rows: &[Row], labels: &Labels) -> Kind {
        let mut values = BTreeMap::new();
        for row in rows.iter().filter(|row| !self.labels.contains_key(&row.label)) {
            *values.entry(row.label.as_str()).or_insert(0) += 1;
        }
        let detected = labels.detect_kind(values);
        match self.label_as {
            Some(LabelAs::Name) => Kind::Name,
            Some(LabelAs::Index) => Kind::Index,
            None => {
                if detected.ambiguous {
                    eprintln!(
                        "warning: {}: the values of {} may be names or numbers of labels; they are read as \
                         names unless `label_as` is \"index\"",
                        self.path.display(),
                        self.label
                    );
                }
                detected.kind
            }
        }
    }

    fn example(&self, row: Row, labels: &Labels, kind: Kind) -> Result<Example> {
        let value = row.label.as_str();
        let meant = self.labels.get(value);
        let label = match meant {
            // A setting may give the name or the number of a label, whatever the column holds.
            Some(name) => labels.label(name, Kind::Name).or_else(|| labels.label(name, Kind::Index)),
            None => labels.label(value, kind),
        };
        let field = format!("line {}, {}", row.line, self.label);
        match label {
            Some(label) if !self.knows.is_empty() && !self.knows.contains(&labels.names()[label]) => {
                let name = &labels.names()[label];
                let found = if value == name { value.to_owned() } else { format!("{value}, read as {name}") };
                let expected = format!(
                    "a label that counts here: {} (see `knows` and --without)",
                    self.knows.join(", ")
                );
                Err(Error::field(&self.path, field, found, expected))
            }
            Some(label) => Ok(Example { text: row.text, label }),
            None => {
                let found = match meant {
                    None => value.to_owned(),
                    Some(name) => format!("{value}, mapped to {name}"),
                };
                Err(self.refuse(field, &found, &labels.expected(kind)))
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
        let tsv = "text\tlabel\nit 's \"fine\"\tpositive\nno\tNEGATIVE\n";
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

    #[test]
    fn a_column_of_labels_is_read_as_names_or_as_numbers() {
        let names = ["1", "2", "3"].map(str::to_owned);
        let read = |rows: &str, label_as: Option<LabelAs>| {
            let root = tempfile::tempdir().unwrap();
            let path = root.path().join("a.csv");
            fs::write(&path, format!("text;label\n{rows}")).unwrap();
            let source = Source { delimiter: Some(";".to_owned()), label_as, ..Source::new(path) };
            source.read(&names).unwrap().into_iter().map(|it| it.label).collect::<Vec<_>>()
        };
        assert_eq!(read("a;0\na;1\na;2\n", None), [0, 1, 2]);
        assert_eq!(read("a;1\na; 2\na;3\n", None), [0, 1, 2]);
        assert_eq!(read("a;1\na;2\n", None), [0, 1]);
        assert_eq!(read("a;1\na;2\n", Some(LabelAs::Index)), [1, 2]);
    }

    /// Reviews with different ratings share ids.
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
            ("NEUTRAL", "expected at least two labels"),
        ] {
            source.knows = vec![knows.to_owned()];
            let error = source.known(&names).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let only_b = |source: &mut Source| source.knows = vec!["NEGATIVE".to_owned()];
        let error = read("a.tsv", "text\tlabel\nx\t1\n", only_b).unwrap_err().to_string();
        assert!(
            error
                .contains("line 2, label: found 1, read as POSITIVE, expected a label that counts here: NEG"),
            "{error}"
        );
    }

    #[test]
    fn bad_rows_are_named() {
        let cases = [
            (
                "a.tsv",
                "sentence\tlabel\nx\t1\n",
                "line 1: found the columns sentence, label, expected a column text; `text` names another",
            ),
            ("a.tsv", "text\tlabel\nx\t1\ny\n", "line 3: found 1 field, expected 2, as in the header"),
            ("a.tsv", "text\tlabel\nx\t7\n", "line 2, label: found 7, expected one of NEGATIVE, POSITIVE"),
            ("a.jsonl", "{\"label\": 1}\n", "line 1: found no such field, expected a field text"),
            ("a.jsonl", "{\n", "line 1: found no valid JSON"),
            (
                "a.csv",
                "text,label\n\"Great,1\n\"Bad,0\n",
                "line 2: found text after a closing quote, expected the delimiter or the end of the line",
            ),
            ("a.csv", "text,label\r\nx,1\r\n\r\ny,2\r\n", "line 4, label: found 2, expected 0 to 1"),
            ("a.txt", "x\n", "name: found a.txt, expected .tsv, .csv or .jsonl"),
            ("a.tsv", "text\tlabel\n", "rows: found none that are used, expected at least one"),
        ];
        for (name, content, expected) in cases {
            let error = read(name, content, |_| {}).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let cases: [(&str, &[u8], &str); 2] = [
            ("a.tsv", b"text\tlabel\nx\t1\n\xff\t0\n", "line 3, text: found the byte 0xff"),
            ("a.jsonl", b"{\"text\": \"x\", \"label\": 1}\n\xff\n", "line 2: found the byte 0xff"),
        ];
        for (name, content, expected) in cases {
            let error = read(name, content, |_| {}).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let error = read("a.tsv", "text\tlabel\nx\tgood\n", |source| {
            source.labels = [("good".to_owned(), "POSITIV".to_owned())].into();
        });
        let error = error.unwrap_err().to_string();
        assert!(error.contains("label: found good, mapped to POSITIV, expected one of"), "{error}");
    }
}
