//! What is learnt from: labelled and unlabelled texts, whole or in parts.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use unicode_segmentation::UnicodeSegmentation;

use crate::classification::{EncodedExample, UNLABELLED};
use crate::data::{Source, WordPieceTokenizer, open_text};
use crate::error::{Error, Result};

/// Parts of a long text that are shorter than this, in tokens, are left out.
const SHORTEST_PART: usize = 6;

/// What becomes of texts longer than one input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Parts {
    /// Their beginning counts, the rest is cut off.
    #[default]
    Whole,
    /// Pieces of as many tokens as an input takes, each with the text's label.
    Windows,
    /// Sentences (Unicode's UAX 29), each with the text's label.
    Sentences,
}

/// A file of texts: `.txt` with one a line, or `.tsv`, `.csv`, `.jsonl`; `.zst` after it or not.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextSource {
    /// The file.
    pub path: PathBuf,
    /// Column or key of the text.
    #[serde(default = "text_field")]
    pub text: String,
    /// Column or key of the label; without it the texts have none.
    #[serde(default)]
    pub label: Option<String>,
    /// See [`Source::labels`].
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// See [`Source::skip`].
    #[serde(default)]
    pub skip: Vec<String>,
    /// See [`Source::only`].
    #[serde(default)]
    pub only: BTreeMap<String, String>,
    /// What becomes of long texts.
    #[serde(default)]
    pub parts: Parts,
    /// Share of the parts that is seen in an epoch, others in each.
    #[serde(default = "whole")]
    pub share: f64,
}

fn text_field() -> String {
    "text".to_owned()
}

fn whole() -> f64 {
    1.0
}

impl TextSource {
    /// Refuses contradictions; `file` is the settings', for messages.
    pub fn check(&self, file: &Path) -> Result<()> {
        if !(self.share > 0.0 && self.share <= 1.0) {
            let found = self.share.to_string();
            return Err(Error::field(file, "data.train.share", found, "above 0 and at most 1"));
        }
        if self.label.is_some() && self.is_plain_text() {
            let expected = "no label: a plain text has none";
            return Err(Error::field(file, "data.train.label", self.path.display().to_string(), expected));
        }
        if self.label.is_none() && !(self.labels.is_empty() && self.skip.is_empty()) {
            let expected = "`label` beside `labels` and `skip`: the column that they speak of";
            return Err(Error::field(file, "data.train", self.path.display().to_string(), expected));
        }
        if self.is_plain_text() && !self.only.is_empty() {
            let expected = "no fields: a plain text has none";
            return Err(Error::field(file, "data.train.only", self.path.display().to_string(), expected));
        }
        Ok(())
    }

    /// All parts, tokenized on all cores.
    pub fn read(
        &self,
        names: &[String],
        tokenizer: &WordPieceTokenizer,
        longest: usize,
    ) -> Result<Vec<EncodedExample>> {
        let texts = self.texts(names)?;
        let parts: Vec<Vec<EncodedExample>> = texts
            .par_iter()
            .map(|(text, label)| {
                let inputs = self.inputs(text, tokenizer, longest)?;
                Ok(inputs.into_iter().map(|ids| EncodedExample { ids, label: *label }).collect())
            })
            .collect::<Result<_>>()?;
        let parts: Vec<EncodedExample> = parts.into_iter().flatten().collect();
        if parts.is_empty() {
            let expected = format!("at least one of {SHORTEST_PART} tokens");
            return Err(Error::field(&self.path, "parts", "none that are long enough", expected));
        }
        Ok(parts)
    }

    fn texts(&self, names: &[String]) -> Result<Vec<(String, usize)>> {
        if self.is_plain_text() {
            let lines = open_text(&self.path)?.lines();
            let mut texts = Vec::new();
            for line in lines {
                let line = line.map_err(Error::read(&self.path))?;
                if !line.trim().is_empty() {
                    texts.push((line, UNLABELLED));
                }
            }
            if texts.is_empty() {
                return Err(Error::field(&self.path, "lines", "none that count", "at least one"));
            }
            return Ok(texts);
        }
        let mut source = Source {
            text: self.text.clone(),
            labels: self.labels.clone(),
            skip: self.skip.clone(),
            only: self.only.clone(),
            ..Source::new(self.path.clone())
        };
        match &self.label {
            Some(label) => {
                source.label.clone_from(label);
                Ok(source.read(names)?.into_iter().map(|it| (it.text, it.label)).collect())
            }
            None => Ok(source.read_texts()?.into_iter().map(|text| (text, UNLABELLED)).collect()),
        }
    }

    fn is_plain_text(&self) -> bool {
        let name = self.path.to_string_lossy();
        name.trim_end_matches(".zst").ends_with(".txt")
    }

    /// Framed ids of the parts of one text.
    fn inputs(&self, text: &str, tokenizer: &WordPieceTokenizer, longest: usize) -> Result<Vec<Vec<u16>>> {
        match self.parts {
            Parts::Whole => Ok(vec![tokenizer.encode_framed(text, longest)?]),
            Parts::Windows => {
                let mut ids = Vec::new();
                tokenizer.encode_into(text, &mut ids)?;
                let special = tokenizer.special;
                let frame = |piece: &[u16]| {
                    let mut framed = vec![special.cls];
                    framed.extend(piece);
                    framed.push(special.sep);
                    framed
                };
                let pieces = ids.chunks(longest - 2).enumerate();
                let kept = pieces.filter(|(index, piece)| *index == 0 || piece.len() + 2 >= SHORTEST_PART);
                Ok(kept.map(|(_, piece)| frame(piece)).collect())
            }
            Parts::Sentences => {
                let sentences = text.split_sentence_bounds().map(str::trim);
                let mut inputs =
                    sentences.map(|it| tokenizer.encode_framed(it, longest)).collect::<Result<Vec<_>>>()?;
                inputs.retain(|ids| ids.len() >= SHORTEST_PART);
                Ok(inputs)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(name: &Path, more: &str) -> TextSource {
        toml::from_str(&format!("path = {:?}\n{more}", name.to_str().unwrap())).unwrap()
    }

    #[test]
    fn parts_of_a_text() {
        let root = tempfile::tempdir().unwrap();
        let vocabulary = root.path().join("vocab.txt");
        let words = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n.\nthe\nfilm\nwas\ngood\nbad\na\nvery\n";
        std::fs::write(&vocabulary, words).unwrap();
        let tokenizer = WordPieceTokenizer::read(&vocabulary).unwrap();
        let names = ["NEGATIVE".to_owned(), "POSITIVE".to_owned()];
        let file = root.path().join("a.tsv");
        std::fs::write(&file, "text\tlabel\nThe film was very good. A bad film. The very bad film.\t1\n")
            .unwrap();
        let read = |more: &str, longest| source(&file, more).read(&names, &tokenizer, longest).unwrap();
        let lengths = |parts: &[EncodedExample]| parts.iter().map(|it| it.ids.len()).collect::<Vec<_>>();

        let whole = read("label = \"label\"", 10);
        assert_eq!((lengths(&whole), whole[0].label), (vec![10], 1));
        let windows = read("parts = \"windows\"", 10);
        assert_eq!((lengths(&windows), windows[1].label), (vec![10, 9], UNLABELLED));
        assert_eq!(windows[0].ids[1..9], whole[0].ids[1..9]);
        let sentences = read("parts = \"sentences\"\nlabel = \"label\"", 10);
        assert_eq!(lengths(&sentences), [8, 6, 7]);
        assert!(sentences.iter().all(|it| it.label == 1 && it.ids[0] == 2 && it.ids.ends_with(&[5, 3])));

        let plain = root.path().join("b.txt");
        std::fs::write(&plain, "the film was good\n\na bad film\n").unwrap();
        let parts = source(&plain, "").read(&names, &tokenizer, 10).unwrap();
        assert_eq!((parts.len(), parts[1].label), (2, UNLABELLED));
        for (more, expected) in [
            ("label = \"x\"", "data.train.label: found"),
            ("only = { split = \"train\" }", "data.train.only: found"),
            ("skip = [\"2\"]", "expected `label` beside `labels` and `skip`"),
        ] {
            let error = source(&plain, more).check(Path::new("a.toml")).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        std::fs::write(&plain, "A film.\n").unwrap();
        let error =
            source(&plain, "parts = \"sentences\"").read(&names, &tokenizer, 10).unwrap_err().to_string();
        assert!(
            error.contains("b.txt: parts: found none that are long enough, expected at least one of 6"),
            "{error}"
        );
    }
}
