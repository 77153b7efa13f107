//! Files of labelled and unlabelled texts, whole or in parts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use electra_formats::rows;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use unicode_segmentation::UnicodeSegmentation;

use super::augment::Augment;
use super::order::SourceShare;
use crate::classification::{EncodedExample, UNLABELLED, encode};
use crate::data::{LabelAs, Source, WordPieceTokenizer, open_text};
use crate::error::{Error, Result};
use crate::random::{Purpose, Stream};
use crate::run::Waiting;

/// Shortest part of a long text, in tokens. Shorter parts are left out.
const SHORTEST_PART: usize = 6;

/// Treatment of texts that are longer than one input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LongTexts {
    /// The beginning is used; the rest is cut off.
    #[default]
    Whole,
    /// Pieces of as many tokens as an input takes, each with the text's label.
    Windows,
    /// Sentences (Unicode's UAX 29), each with the text's label.
    Sentences,
}

/// File of texts: `.txt` with one text per line, or `.tsv`, `.csv`, `.jsonl`; optionally with
/// `.zst` appended.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextSource {
    /// The file.
    pub path: PathBuf,
    /// Column or key of the text.
    #[serde(default = "text_field")]
    pub text: String,
    /// Column or key of the label. By default texts have no label in `distil` and `label`. In
    /// `finetune` and `quantize`, which need labels, the default is `label`.
    #[serde(default)]
    pub label: Option<String>,
    /// Delimiter of a table, see [`Source::delimiter`].
    #[serde(default)]
    pub delimiter: Option<String>,
    /// Content of the label's field, see [`Source::label_as`].
    #[serde(default)]
    pub label_as: Option<LabelAs>,
    /// Labels for values that are neither names nor numbers, see [`Source::labels`].
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Values of the label's field whose rows are left out, see [`Source::skip`].
    #[serde(default)]
    pub skip: Vec<String>,
    /// Fields that must have these values in a row that is read, see [`Source::only`].
    #[serde(default)]
    pub only: BTreeMap<String, String>,
    /// Labels that the source covers, see [`Source::knows`].
    #[serde(default)]
    pub knows: Vec<String>,
    /// Table of rows to leave out, see [`Source::leave_out`].
    #[serde(default)]
    pub leave_out: Option<PathBuf>,
    /// Treatment of long texts.
    #[serde(default)]
    pub parts: LongTexts,
    /// Share of the parts that an epoch uses, with different parts in each epoch.
    #[serde(default = "whole")]
    pub share: f64,
    /// Changed copies of the texts, which keep their labels.
    #[serde(default)]
    pub augment: Option<Augment>,
}

/// Settings for reading texts.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    /// Names of the labels, in the order of their numbers.
    pub labels: &'a [String],
    /// Tokenizer that gives the ids.
    pub tokenizer: &'a WordPieceTokenizer,
    /// Length in tokens to which texts, or their parts, are cut.
    pub longest: usize,
    /// Whether texts without a label are refused.
    pub labelled: bool,
    /// Share of the texts that is kept back for dev.
    pub kept_back: f64,
}

/// Texts of several sources.
#[derive(Debug, Default)]
pub struct Texts {
    /// All texts, one source after the other.
    pub examples: Vec<EncodedExample>,
    /// Ranges of `examples`, one per source.
    pub parts: Vec<SourceShare>,
    /// Texts that were kept back, without copies.
    pub kept_back: Vec<EncodedExample>,
}

/// Reads `sources` and encodes their texts on all cores.
pub fn read_texts(sources: &[TextSource], reading: &Reading) -> Result<Texts> {
    let mut texts = Texts::default();
    for source in sources {
        let _waiting = Waiting::new(format!("reading {}", source.path.display()));
        let start = texts.examples.len();
        let (examples, kept_back) = source.read(reading)?;
        texts.examples.extend(examples);
        texts.kept_back.extend(kept_back);
        texts.parts.push(SourceShare { texts: start..texts.examples.len(), share: source.share });
    }
    if texts.examples.is_empty() || (reading.kept_back > 0.0 && texts.kept_back.is_empty()) {
        let found = format!("{} to learn from and {} kept back", texts.examples.len(), texts.kept_back.len());
        return Err(Error::field(Path::new("data.dev_share"), "texts", found, "some of both"));
    }
    Ok(texts)
}

/// Reads labelled texts for dev, whole and without copies.
pub fn read_whole(sources: &[Source], reading: &Reading) -> Result<Vec<EncodedExample>> {
    let mut examples = Vec::new();
    for source in sources {
        let _waiting = Waiting::new(format!("reading {}", source.path.display()));
        let known = source.known(reading.labels)?;
        examples.extend(encode(
            &source.read(reading.labels)?,
            reading.tokenizer,
            reading.longest,
            known.as_ref(),
        )?);
    }
    Ok(examples)
}

fn text_field() -> String {
    "text".to_owned()
}

fn whole() -> f64 {
    1.0
}

impl TextSource {
    /// Fails for contradictory settings. `labelled` is as in [`Reading`]; `file` is the settings'
    /// file, for messages.
    pub fn check(&self, labelled: bool, file: &Path) -> Result<()> {
        if !(self.share > 0.0 && self.share <= 1.0) {
            let found = self.share.to_string();
            return Err(Error::field(file, "data.train.share", found, "above 0 and at most 1"));
        }
        if self.label.is_some() && self.is_plain_text() {
            let expected = "no label: a plain text has none";
            return Err(Error::field(file, "data.train.label", self.path.display().to_string(), expected));
        }
        let of_labels = [self.labels.is_empty(), self.skip.is_empty(), self.knows.is_empty()];
        if self.label.is_none() && !labelled && of_labels.contains(&false) {
            let expected = "`label`, the column that `labels`, `skip` and `knows` refer to";
            return Err(Error::field(file, "data.train", self.path.display().to_string(), expected));
        }
        if let Some(augment) = &self.augment {
            augment.check(file)?;
            if self.parts == LongTexts::Windows {
                let expected = "whole or sentences: changes move the windows";
                return Err(Error::field(file, "data.train.parts beside augment", "windows", expected));
            }
        }
        if self.is_plain_text() && (!self.only.is_empty() || self.leave_out.is_some()) {
            let expected = "no fields: a plain text has none";
            return Err(Error::field(file, "data.train.only", self.path.display().to_string(), expected));
        }
        Ok(())
    }

    /// Returns the paths in the source, so that the caller can resolve them against the settings'
    /// folder.
    pub fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        [&mut self.path].into_iter().chain(&mut self.leave_out)
    }

    /// Returns the names of the labels, see [`Source::names`]. The default column is `label`.
    pub fn names(&self) -> Result<BTreeSet<String>> {
        self.source(true).names()
    }

    /// Reads all parts. Returns those to learn from and those of the texts that are kept back.
    fn read(&self, reading: &Reading) -> Result<(Vec<EncodedExample>, Vec<EncodedExample>)> {
        let source = self.source(reading.labelled);
        let known = source.known(reading.labels)?;
        let (texts, seed) = (self.texts(&source, reading)?, self.augment.as_ref().map_or(1, |it| it.seed));
        let parts: Vec<(bool, Vec<EncodedExample>)> = texts
            .par_iter()
            .enumerate()
            .map(|(number, (text, label))| {
                let kept_back = is_kept_back(text, reading.kept_back);
                let mut examples = Vec::new();
                for (place, (part, ids)) in self.inputs(text, reading)?.into_iter().enumerate() {
                    let mut example =
                        EncodedExample { known: known.clone(), ..EncodedExample::new(ids, *label) };
                    if let Some(augment) = self.augment.as_ref().filter(|_| !kept_back) {
                        let number =
                            Stream::new(seed, Purpose::Changes, number as u64).next_u64() ^ place as u64;
                        augment.copies_of(&part, number, |copy| {
                            let ids = reading.tokenizer.encode_framed(copy, reading.longest)?;
                            let differs = ids != example.ids && !example.copies.contains(&ids);
                            if differs {
                                example.copies.push(ids);
                            }
                            Ok(differs)
                        })?;
                    }
                    examples.push(example);
                }
                Ok((kept_back, examples))
            })
            .collect::<Result<_>>()?;
        let (mut examples, mut back) = (Vec::new(), Vec::new());
        for (kept_back, parts) in parts {
            if kept_back { back.extend(parts) } else { examples.extend(parts) }
        }
        if examples.is_empty() && back.is_empty() {
            let expected = format!("at least one of {SHORTEST_PART} tokens");
            return Err(Error::field(&self.path, "parts", "none that are long enough", expected));
        }
        Ok((examples, back))
    }

    /// Returns the same file as a source of whole texts.
    fn source(&self, labelled: bool) -> Source {
        let mut source = Source {
            text: self.text.clone(),
            labels: self.labels.clone(),
            skip: self.skip.clone(),
            only: self.only.clone(),
            delimiter: self.delimiter.clone(),
            label_as: self.label_as,
            knows: self.knows.clone(),
            leave_out: self.leave_out.clone(),
            ..Source::new(self.path.clone())
        };
        if let Some(label) = &self.label {
            source.label.clone_from(label);
        } else if !labelled {
            source.label.clear();
        }
        source
    }

    fn texts(&self, source: &Source, reading: &Reading) -> Result<Vec<(String, usize)>> {
        if self.is_plain_text() {
            if reading.labelled {
                let expected = "a table: every text needs a label here";
                return Err(Error::field(&self.path, "name", "a plain text", expected));
            }
            let mut texts = Vec::new();
            for row in rows::read_lines(self.path.clone(), open_text(&self.path)?)? {
                let row = row?;
                let values = row.values.map_err(|problem| problem.in_file(&self.path, row.line))?;
                texts
                    .extend(values.into_iter().filter(|it| !it.trim().is_empty()).map(|it| (it, UNLABELLED)));
            }
            if texts.is_empty() {
                return Err(Error::field(&self.path, "lines", "none that are used", "at least one"));
            }
            return Ok(texts);
        }
        if source.label.is_empty() {
            return Ok(source.read_texts()?.into_iter().map(|text| (text, UNLABELLED)).collect());
        }
        Ok(source.read(reading.labels)?.into_iter().map(|it| (it.text, it.label)).collect())
    }

    fn is_plain_text(&self) -> bool {
        let name = self.path.to_string_lossy();
        name.trim_end_matches(".zst").ends_with(".txt")
    }

    /// Returns the parts of one text with their framed ids. Windows are cut from the ids, and their
    /// text is empty.
    fn inputs(&self, text: &str, reading: &Reading) -> Result<Vec<(String, Vec<u16>)>> {
        let Reading { tokenizer, longest, .. } = *reading;
        let framed = |it: &str| Ok((it.to_owned(), tokenizer.encode_framed(it, longest)?));
        match self.parts {
            LongTexts::Whole => Ok(vec![framed(text)?]),
            LongTexts::Windows => {
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
                Ok(kept.map(|(_, piece)| (String::new(), frame(piece))).collect())
            }
            LongTexts::Sentences => {
                let sentences = text.split_sentence_bounds().map(str::trim);
                let mut inputs = sentences.map(framed).collect::<Result<Vec<_>>>()?;
                inputs.retain(|(_, ids)| ids.len() >= SHORTEST_PART);
                Ok(inputs)
            }
        }
    }
}

/// Returns whether `text` belongs to the share that is kept back. Equal texts are on the same side.
fn is_kept_back(text: &str, share: f64) -> bool {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    f64::from(Stream::new(1, Purpose::KeptBack, hash).unit()) < share
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
        let reading = |longest| Reading {
            labels: &names,
            tokenizer: &tokenizer,
            longest,
            labelled: false,
            kept_back: 0.0,
        };
        let read = |more: &str, longest| source(&file, more).read(&reading(longest)).unwrap().0;
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
        std::fs::write(&plain, "\u{feff}the film was good\r\n\r\na bad film\r\n").unwrap();
        let parts = source(&plain, "").read(&reading(10)).unwrap().0;
        assert_eq!((parts.len(), parts[1].label), (2, UNLABELLED));
        for (more, expected) in [
            ("label = \"x\"", "data.train.label: found"),
            ("only = { split = \"train\" }", "data.train.only: found"),
            ("skip = [\"2\"]", "expected `label`, the column that `labels`, `skip` and `knows` refer to"),
        ] {
            let error = source(&plain, more).check(false, Path::new("a.toml")).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let labelled = Reading { labelled: true, ..reading(10) };
        let error = source(&plain, "").read(&labelled).unwrap_err().to_string();
        assert!(error.contains("b.txt: name: found a plain text, expected a table"), "{error}");

        // A copy must have other ids. Different case does not change the ids.
        let copied =
            read("augment = { kinds = [\"case\", \"punctuation\"], copies = 2 }\nparts = \"sentences\"", 10);
        assert_eq!(lengths(&copied), [8, 6, 7]);
        assert!(
            copied.iter().all(|it| it.copies.len() == 1 && it.copies[0].len() == it.ids.len() - 1),
            "{copied:?}"
        );
        assert_eq!(copied[0].rows(), 2);
        std::fs::write(&plain, "A film.\n").unwrap();
        let error = source(&plain, "parts = \"sentences\"").read(&reading(10)).unwrap_err().to_string();
        assert!(
            error.contains("b.txt: parts: found none that are long enough, expected at least one of 6"),
            "{error}"
        );
    }

    #[test]
    fn equal_texts_are_kept_back_together() {
        let count = (0..10_000).filter(|number| is_kept_back(&number.to_string(), 0.1)).count();
        // Six standard deviations of a binomial(10000, 0.1).
        assert!(count.abs_diff(1000) < 180, "{count}");
        assert!(!is_kept_back("a", 0.0) && is_kept_back("a", 1.0));
    }
}
