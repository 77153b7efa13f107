//! Files that `electra-train label` writes.
//!
//! The first line is JSON and describes how the answers were computed. After it each text has its
//! key (8 bytes, see [`super::Keys`]) and, per label, the logarithm of the probability in units of
//! -1/1024 (2 bytes). Both are little-endian. A file that ends early holds the first answers and is
//! valid.

use std::fs::{self, File, TryLockError};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Name and version of the file format.
const FORMAT: &str = "electra-train answers 1";
/// Steps per unit of a logarithm. Half a step changes a probability by a twentieth of a percent.
const STEPS: f32 = 1024.0;

/// Probabilities of one text, in the order of the requested labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Key of the text, see [`super::Keys`].
    pub key: u64,
    /// Probability of each label; 0 for a label that the teacher does not know.
    pub probabilities: Vec<f32>,
}

/// Teacher that computed the answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Teacher {
    /// Name of the teacher's folder.
    pub folder: String,
    /// Checksum of its weights.
    pub checksum: String,
}

/// First line of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Name and version of the format, see [`FORMAT`].
    #[serde(rename = "form")]
    pub format: String,
    /// Names of the labels, in the order of the probabilities.
    pub labels: Vec<String>,
    /// Teachers; an answer is the mean of their probabilities.
    pub teachers: Vec<Teacher>,
    /// Temperature by which their logits were divided.
    pub temperature: f64,
    /// Length in tokens to which the texts were cut.
    pub max_length: usize,
    /// Number of texts.
    pub texts: usize,
    /// Checksum of the keys, in the order of the file.
    pub checksum: String,
}

impl Header {
    /// Returns the header of a file in this format.
    pub fn new(
        labels: &[String],
        teachers: Vec<Teacher>,
        temperature: f64,
        max_length: usize,
        keys: &[u64],
    ) -> Self {
        let bytes: Vec<u8> = keys.iter().flat_map(|key| key.to_le_bytes()).collect();
        Self {
            format: FORMAT.to_owned(),
            labels: labels.to_vec(),
            teachers,
            temperature,
            max_length,
            texts: keys.len(),
            checksum: format!("{:016x}", super::key::checksum(&bytes)),
        }
    }
}

/// Answer file that is open for appending.
#[derive(Debug)]
pub struct AnswerFile {
    path: PathBuf,
    output: BufWriter<File>,
}

impl AnswerFile {
    /// Opens `path` for answers in the order of `header`, and creates it if it does not exist.
    /// Returns the file and the number of answers that it already holds. Fails if the file belongs
    /// to other texts, teachers or settings, or if another process has it open.
    pub fn open(path: &Path, header: &Header) -> Result<(Self, usize)> {
        let line = serde_json::to_string(header)
            .map_err(|error| Error::field(path, "line 1", error.to_string(), "JSON"))?
            + "\n";
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path);
        let file = file.map_err(Error::write(path))?;
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            return Err(Error::InUse { folder: path.to_path_buf() });
        }
        let length = file.metadata().map_err(Error::read(path))?.len() as usize;
        let record = record_length(header);
        let mut done = 0;
        if length > 0 {
            let bytes = fs::read(path).map_err(Error::read(path))?;
            let (found, start) = read_header(path, &bytes)?;
            found.same_as(header, path)?;
            done = ((bytes.len() - start) / record).min(header.texts);
            // An incomplete last answer is cut off and computed again.
            file.set_len((start + done * record) as u64).map_err(Error::write(path))?;
        }
        let mut it = Self { path: path.to_path_buf(), output: BufWriter::new(file) };
        if length == 0 {
            it.write(line.as_bytes())?;
        }
        std::io::Seek::seek(&mut it.output, std::io::SeekFrom::End(0)).map_err(Error::write(path))?;
        Ok((it, done))
    }

    /// Appends answers: keys and the logarithms of the probabilities. They are in the file when
    /// this returns.
    pub fn append(&mut self, answers: &[(u64, &[f32])]) -> Result<()> {
        let mut bytes = Vec::new();
        for (key, logs) in answers {
            bytes.extend(key.to_le_bytes());
            for log in *logs {
                let steps = (-log * STEPS).round().clamp(0.0, f32::from(u16::MAX)) as u16;
                bytes.extend(steps.to_le_bytes());
            }
        }
        self.write(&bytes)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.output.write_all(bytes).and_then(|()| self.output.flush()).map_err(Error::write(&self.path))
    }

    /// Reads the answers in `path`. Returns, for each of `labels`, whether the file covers it, and
    /// the answers rescaled to a temperature of 1.
    pub fn read(path: &Path, labels: &[String]) -> Result<(Vec<bool>, Vec<Answer>)> {
        let bytes = fs::read(path).map_err(Error::read(path))?;
        let (header, start) = read_header(path, &bytes)?;
        let columns: Vec<Option<usize>> =
            labels.iter().map(|label| header.labels.iter().position(|it| it == label)).collect();
        if columns.iter().flatten().count() < header.labels.len() {
            let expected = format!("labels among {}", labels.join(", "));
            return Err(Error::field(path, "labels", header.labels.join(", "), expected));
        }
        let records = bytes[start..].chunks_exact(record_length(&header));
        if records.len() < header.texts {
            eprintln!(
                "warning: {}: {} of {} texts have an answer; run the same `label` command again to continue",
                path.display(),
                records.len(),
                header.texts
            );
        }
        let answers = records.map(|record| {
            let (key, logs) = record.split_at(8);
            let log = |column: usize| {
                let steps = u16::from_le_bytes([logs[2 * column], logs[2 * column + 1]]);
                -f32::from(steps) / STEPS * header.temperature as f32
            };
            let powers: Vec<f32> =
                columns.iter().map(|it| it.map_or(0.0, |column| log(column).exp())).collect();
            let total: f32 = powers.iter().sum();
            let key = key.iter().rev().fold(0, |key, &byte| key << 8 | u64::from(byte));
            Answer { key, probabilities: powers.into_iter().map(|it| it / total).collect() }
        });
        Ok((columns.iter().map(Option::is_some).collect(), answers.collect()))
    }
}

impl Header {
    fn same_as(&self, now: &Self, path: &Path) -> Result<()> {
        let teachers = |of: &Self| {
            of.teachers
                .iter()
                .map(|it| format!("{} {}", it.folder, it.checksum))
                .collect::<Vec<_>>()
                .join(", ")
        };
        for (field, before, now) in [
            ("labels", self.labels.join(", "), now.labels.join(", ")),
            ("teachers", teachers(self), teachers(now)),
            ("temperature", self.temperature.to_string(), now.temperature.to_string()),
            ("max_length", self.max_length.to_string(), now.max_length.to_string()),
            ("texts", self.texts.to_string(), now.texts.to_string()),
            ("checksum of the texts", self.checksum.clone(), now.checksum.clone()),
        ] {
            if before != now {
                let expected = format!("{before}, with which the file began, or another --output");
                return Err(Error::field(path, field, now, expected));
            }
        }
        Ok(())
    }
}

fn record_length(header: &Header) -> usize {
    8 + 2 * header.labels.len()
}

/// Returns the header and the offset of the first answer.
fn read_header(path: &Path, bytes: &[u8]) -> Result<(Header, usize)> {
    let end = bytes.iter().position(|&byte| byte == b'\n');
    let header = end.and_then(|end| serde_json::from_slice::<Header>(&bytes[..end]).ok());
    match (header, end) {
        (Some(header), Some(end)) if header.format == FORMAT && header.labels.len() >= 2 => {
            Ok((header, end + 1))
        }
        _ => {
            let expected = "answers that `electra-train label` wrote, or a .tsv or .csv table";
            Err(Error::field(path, "line 1", "something else", expected))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_grows_and_is_read_at_a_temperature_of_one() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("answers");
        let labels = ["A", "B", "C"].map(String::from);
        let teachers = vec![Teacher { folder: "t".to_owned(), checksum: "1".to_owned() }];
        let header = |keys: &[u64]| Header::new(&labels, teachers.clone(), 2.0, 8, keys);
        let probabilities = [[0.2_f32, 0.3, 0.5], [0.0, 0.1, 0.9], [0.98, 0.01, 0.01]];
        let logs = probabilities.map(|row| row.map(f32::ln));
        let keys = [7_u64, u64::MAX, 3];
        let (mut file, done) = AnswerFile::open(&path, &header(&keys)).unwrap();
        assert_eq!(done, 0);
        file.append(&[(7, &logs[0]), (u64::MAX, &logs[1])]).unwrap();
        assert!(matches!(AnswerFile::open(&path, &header(&keys)), Err(Error::InUse { .. })));
        drop(file);
        // A process was killed while it wrote an answer.
        let mut bytes = fs::read(&path).unwrap();
        bytes.extend([1, 2, 3]);
        fs::write(&path, &bytes).unwrap();
        let (mut file, done) = AnswerFile::open(&path, &header(&keys)).unwrap();
        assert_eq!(done, 2);
        file.append(&[(3, &logs[2])]).unwrap();
        drop(file);

        let asked = ["B", "A", "C", "D"].map(String::from);
        let (known, answers) = AnswerFile::read(&path, &asked).unwrap();
        assert_eq!(known, [true, true, true, false]);
        assert_eq!(answers.iter().map(|it| it.key).collect::<Vec<_>>(), keys);
        for (answer, row) in answers.iter().zip(probabilities) {
            let squares = row.map(|it| it * it);
            let total: f32 = squares.iter().sum();
            let expected = [squares[1], squares[0], squares[2], 0.0].map(|it| it / total);
            for (found, expected) in answer.probabilities.iter().zip(expected) {
                assert!((found - expected).abs() < 0.002 * expected.max(1e-3), "{answer:?} {expected}");
            }
        }
        let error = AnswerFile::open(&path, &header(&[1, 2, 3])).map(drop).unwrap_err().to_string();
        assert!(error.contains("answers: checksum of the texts: found "), "{error}");
        let error = AnswerFile::open(&path, &header(&[1])).map(drop).unwrap_err().to_string();
        assert!(error.contains("answers: texts: found 1, expected 3, with which the file began"), "{error}");
        let error = AnswerFile::read(&path, &labels[..2]).unwrap_err().to_string();
        assert!(error.contains("answers: labels: found A, B, C, expected labels among A, B"), "{error}");
        fs::write(&path, "x").unwrap();
        let error = AnswerFile::read(&path, &labels).unwrap_err().to_string();
        assert!(error.contains("line 1: found something else, expected answers that"), "{error}");
    }
}
