//! Answers of teachers in files: probabilities that were computed earlier.

mod file;
mod key;
mod table;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

pub use file::{Answer, AnswerFile, Header, Teacher};
pub use key::{Keys, checksum};

use crate::classification::EncodedExample;
use crate::data::WordPieceTokenizer;
use crate::error::{Error, Result};
use crate::losses::ABSENT;

/// Least probability, so that the logarithm of a probability that was rounded to 0 is finite.
const LEAST: f32 = 1e-6;

/// Answers of several files, by the pieces of the texts.
#[derive(Debug)]
pub struct Answers {
    keys: Keys,
    labels: usize,
    /// For each text, the offset of its probabilities in `sums` and the number of files that
    /// contain it.
    places: HashMap<u64, (usize, u32)>,
    /// Sums of probabilities over the files, in the order of the labels; 0 for labels that no file
    /// covers.
    sums: Vec<f32>,
    /// For each label, whether the files cover it.
    pub known: Vec<bool>,
}

impl Answers {
    /// Reads `files`: files that `electra-train label` wrote, or tables (`.tsv` or `.csv`,
    /// optionally with `.zst` appended). A table has a column `text` and one column of
    /// probabilities per label, under the label's name in any case. Texts of tables are cut to
    /// `longest` tokens, like the texts that the answers are for. All files must cover the same of
    /// `labels`. Returns `None` if there are no files.
    pub fn read<'a>(
        files: impl IntoIterator<Item = &'a Path>,
        labels: &[String],
        tokenizer: &WordPieceTokenizer,
        longest: usize,
    ) -> Result<Option<Self>> {
        let mut all: Option<Self> = None;
        for file in files {
            let (known, answers) = match table::is_table(file) {
                true => table::read(file, labels, tokenizer, longest)?,
                false => AnswerFile::read(file, labels)?,
            };
            let all = match &mut all {
                Some(all) => all,
                None => all.insert(Self {
                    keys: Keys::of(tokenizer)?,
                    labels: labels.len(),
                    places: HashMap::new(),
                    sums: Vec::new(),
                    known: known.clone(),
                }),
            };
            if known != all.known {
                let names = |of: &[bool]| {
                    labels
                        .iter()
                        .zip(of)
                        .filter_map(|(it, known)| known.then_some(it.as_str()))
                        .collect::<Vec<_>>()
                        .join(", ")
                };
                let expected = format!("{}, as in the first file", names(&all.known));
                return Err(Error::field(file, "labels", names(&known), expected));
            }
            for Answer { key, probabilities } in answers {
                let place = all.places.entry(key).or_insert_with(|| {
                    all.sums.resize(all.sums.len() + labels.len(), 0.0);
                    (all.sums.len() - labels.len(), 0)
                });
                place.1 += 1;
                for (sum, probability) in all.sums[place.0..].iter_mut().zip(probabilities) {
                    *sum += probability;
                }
            }
        }
        Ok(all)
    }

    /// Returns the number of texts.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Returns whether there are no texts.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Stores in each of `examples` the logarithms of its mean probabilities. Returns the number of
    /// examples without an answer.
    pub fn give(&self, examples: &mut [EncodedExample]) -> usize {
        let mut without = 0;
        for example in examples {
            example.taught = self.of(&example.ids);
            without += usize::from(example.taught.is_none());
        }
        without
    }

    fn of(&self, ids: &[u16]) -> Option<Arc<[f32]>> {
        let &(start, files) = self.places.get(&self.keys.of_text(ids))?;
        let sums = &self.sums[start..start + self.labels];
        let log = |(sum, &known): (&f32, &bool)| match known {
            true => (sum / files as f32).max(LEAST).ln(),
            false => ABSENT as f32,
        };
        Some(sums.iter().zip(&self.known).map(log).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn answers_of_tables_and_files_are_averaged() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        let words = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\ngood\nbad\n.\n";
        fs::write(path("vocab.txt"), words).unwrap();
        let tokenizer = WordPieceTokenizer::read(&path("vocab.txt")).unwrap();
        let labels = ["NEGATIVE", "NEUTRAL", "POSITIVE"].map(String::from);
        fs::write(
            path("a.tsv"),
            "text\tnegative\tneutral\tpositive\nGood.\t0.1\t0.2\t0.7\nbad\t0.8\t0.2\t0\n",
        )
        .unwrap();
        fs::write(path("b.tsv"), "POSITIVE\ttext\tNEUTRAL\tNEGATIVE\n0.5\tgood .\t0.4\t0.1\n").unwrap();
        let read = |names: &[&str]| {
            let files: Vec<_> = names.iter().map(|name| path(name)).collect();
            Answers::read(files.iter().map(|it| it.as_path()), &labels, &tokenizer, 8)
        };
        let answers = read(&["a.tsv", "b.tsv"]).unwrap().unwrap();
        let of = |text: &str| {
            let taught = answers.of(&tokenizer.encode_framed(text, 8).unwrap())?;
            Some(taught.iter().map(|it| it.exp()).collect::<Vec<f32>>())
        };
        let near =
            |found: &[f32], expected: [f32; 3]| found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5);
        assert!(near(&of("GOOD .").unwrap(), [0.1, 0.3, 0.6]));
        assert!(near(&of("bad").unwrap(), [0.8, 0.2, LEAST]));
        assert_eq!((of("bad bad"), answers.len()), (None, 2));

        fs::write(path("two.tsv"), "text\tNEGATIVE\tPOSITIVE\ngood\t0.4\t0.6\n").unwrap();
        let two = read(&["two.tsv"]).unwrap().unwrap();
        assert_eq!(two.known, [true, false, true]);
        // A label that no file covers gets a probability of 0 at every temperature.
        let taught = two.of(&tokenizer.encode_framed("good", 8).unwrap()).unwrap();
        assert!((taught[2] - 0.6_f32.ln()).abs() < 1e-6 && taught[1] < -1000.0, "{taught:?}");
        let cases = [
            (
                "two.tsv",
                None,
                "two.tsv: labels: found NEGATIVE, POSITIVE, expected NEGATIVE, NEUTRAL, POSITIVE, as",
            ),
            (
                "c.tsv",
                Some("text\tnegative\ngood\t1\n"),
                "c.tsv: line 1: found the columns text, negative, expected",
            ),
            (
                "c.tsv",
                Some("text\tnegative\tpositive\ngood\t0.9\t0.7\n"),
                "c.tsv: line 2: found probabilities with the sum 1.6",
            ),
            (
                "c.tsv",
                Some("text\tnegative\tpositive\ngood\t-0.1\tx\n"),
                "c.tsv: line 2, negative: found -0.1, expected",
            ),
        ];
        for (name, content, expected) in cases {
            if let Some(content) = content {
                fs::write(path(name), content).unwrap();
            }
            let error = read(&["a.tsv", name]).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
