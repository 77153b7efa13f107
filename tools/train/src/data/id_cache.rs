//! Token ids of whole corpora in one file that is mapped, not read: two bytes a token, in the order of the text.
//!
//! Documents end at empty lines and at the end of a file; there stands a `[SEP]`.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufWriter, Write};
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use memmap2::Mmap;
use rayon::prelude::*;

use super::{WordPieceTokenizer, open_text};
use crate::error::{Error, Result};

/// Lines that are tokenized at once: enough for every core, little enough to hold.
const LINES_AT_ONCE: usize = 8192;

/// Where the cache of some texts lies.
#[derive(Debug)]
pub struct IdCache<'a> {
    /// Folder of the cache.
    pub folder: &'a Path,
    /// Texts, `.txt` or `.zst`.
    pub texts: &'a [PathBuf],
    /// Gives the ids.
    pub tokenizer: &'a WordPieceTokenizer,
}

/// A mapped cache.
#[derive(Debug)]
pub struct IdFile {
    map: Mmap,
}

impl IdCache<'_> {
    /// Opens the cache and makes it first where it does not exist. Its name depends on the texts' paths, sizes and times
    /// and on the vocabulary, so a changed corpus makes another.
    pub fn open(&self) -> Result<IdFile> {
        let mut key = DefaultHasher::new();
        fs::read(self.tokenizer.file()).map_err(Error::read(self.tokenizer.file()))?.hash(&mut key);
        for text in self.texts {
            let metadata = fs::metadata(text).map_err(Error::read(text))?;
            (text, metadata.len(), metadata.modified().map_err(Error::read(text))?).hash(&mut key);
        }
        let file = self.folder.join(format!("{:016x}.ids", key.finish()));
        if !file.exists() {
            fs::create_dir_all(self.folder).map_err(Error::write(self.folder))?;
            let unfinished = file.with_extension(format!("{}.writing", std::process::id()));
            let made = self.write(&unfinished);
            if made.is_err() {
                // What is half written helps nobody; the reason matters more than whether this works.
                let _ = fs::remove_file(&unfinished);
            }
            made?;
            fs::rename(&unfinished, &file).map_err(Error::write(&file))?;
        }
        IdFile::map(&file)
    }

    fn write(&self, file: &Path) -> Result<()> {
        let mut output = BufWriter::new(File::create(file).map_err(Error::write(file))?);
        let style = ProgressStyle::with_template("{spinner} {msg}: {pos} tokens, {per_sec}, {elapsed}");
        let progress = ProgressBar::new_spinner();
        if let Ok(style) = style {
            progress.set_style(style);
        }
        for text in self.texts {
            progress.set_message(format!("tokenizing {}", text.display()));
            let mut lines = open_text(text)?;
            loop {
                let batch = read_lines(&mut lines, text)?;
                if batch.is_empty() {
                    break;
                }
                let ids = batch.par_iter().map(|line| self.ids_of(line)).collect::<Result<Vec<_>>>()?;
                for ids in ids {
                    progress.inc(ids.len() as u64);
                    let bytes: Vec<u8> = ids.into_iter().flat_map(u16::to_le_bytes).collect();
                    output.write_all(&bytes).map_err(Error::write(file))?;
                }
            }
            output.write_all(&self.tokenizer.special.sep.to_le_bytes()).map_err(Error::write(file))?;
        }
        progress.finish_and_clear();
        let written = output.into_inner().map_err(|error| error.into_error());
        written.and_then(|file| file.sync_all()).map_err(Error::write(file))
    }

    fn ids_of(&self, line: &str) -> Result<Vec<u16>> {
        let mut ids = Vec::new();
        if line.trim().is_empty() {
            ids.push(self.tokenizer.special.sep);
        } else {
            self.tokenizer.encode_into(line, &mut ids)?;
        }
        Ok(ids)
    }
}

fn read_lines(input: &mut dyn BufRead, file: &Path) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    while lines.len() < LINES_AT_ONCE {
        let mut line = String::new();
        if input.read_line(&mut line).map_err(Error::read(file))? == 0 {
            break;
        }
        lines.push(line);
    }
    Ok(lines)
}

impl IdFile {
    #[allow(unsafe_code)]
    fn map(file: &Path) -> Result<Self> {
        let opened = File::open(file).map_err(Error::read(file))?;
        // SAFETY: the cache is written under another name and renamed when it is whole; nothing here writes to it again.
        // Another process that cut it short meanwhile would end this one with SIGBUS, as for every mapped file.
        let map = unsafe { Mmap::map(&opened) }.map_err(Error::read(file))?;
        Ok(Self { map })
    }

    /// Number of ids.
    pub fn len(&self) -> usize {
        self.map.len() / 2
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `length` ids from `start`.
    pub fn ids(&self, start: usize, length: usize) -> impl Iterator<Item = u16> + '_ {
        self.map[2 * start..2 * (start + length)]
            .chunks_exact(2)
            .map(|bytes| u16::from_le_bytes([bytes[0], bytes[1]]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_in_the_order_of_the_text_whatever_its_compression() {
        let root = tempfile::tempdir().unwrap();
        let vocabulary = root.path().join("vocab.txt");
        fs::write(&vocabulary, "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\nchef\ncooked\n##ed\n.\n").unwrap();
        let tokenizer = WordPieceTokenizer::read(&vocabulary).unwrap();
        let text = "The chef cooked.\n\nThe zebra\nthe chefed\n";
        let expected = [5, 6, 7, 9, 3, 5, 1, 5, 6, 8, 3];
        let plain = root.path().join("a.txt");
        fs::write(&plain, text).unwrap();
        let packed = root.path().join("a.txt.zst");
        fs::write(&packed, zstd::encode_all(text.as_bytes(), 1).unwrap()).unwrap();
        for path in [plain, packed] {
            let cache = IdCache { folder: &root.path().join("cache"), texts: &[path], tokenizer: &tokenizer };
            for _ in 0..2 {
                let file = cache.open().unwrap();
                assert_eq!(file.ids(0, file.len()).collect::<Vec<_>>(), expected);
            }
        }
        assert_eq!(fs::read_dir(root.path().join("cache")).unwrap().count(), 2);
    }

    #[test]
    fn a_missing_text_is_named() {
        let root = tempfile::tempdir().unwrap();
        let vocabulary = root.path().join("vocab.txt");
        fs::write(&vocabulary, "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n").unwrap();
        let tokenizer = WordPieceTokenizer::read(&vocabulary).unwrap();
        let texts = [root.path().join("none.txt")];
        let error = IdCache { folder: root.path(), texts: &texts, tokenizer: &tokenizer }.open().unwrap_err();
        assert!(error.to_string().contains("none.txt: cannot be read"), "{error}");
    }
}
