//! Token ids of whole corpora in one file that is mapped, not read: two bytes a token, in the order of the text.
//!
//! Documents end at empty lines and at the end of a file; there stands a `[SEP]`.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufRead, BufWriter, Write};
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
            self.make(&file)?;
        }
        let ids = IdFile::map(&file)?;
        let largest = ids.ids(0, ids.len()).max();
        match largest {
            Some(largest)
                if ids.map.len().is_multiple_of(2) && usize::from(largest) < self.tokenizer.size =>
            {
                Ok(ids)
            }
            _ => {
                let found = largest.map_or("none".to_owned(), |largest| format!("{largest}"));
                let expected = format!(
                    "ids below {}, two bytes each; without the file it is made again",
                    self.tokenizer.size
                );
                Err(Error::field(&file, "largest id", found, expected))
            }
        }
    }

    /// Writes the cache under another name and renames it. Whoever wants the same one meanwhile waits for it; what an interrupted
    /// run has left is written over.
    fn make(&self, file: &Path) -> Result<()> {
        fs::create_dir_all(self.folder).map_err(Error::write(self.folder))?;
        let unfinished = file.with_extension("writing");
        let opened = File::options().write(true).create(true).truncate(false).open(&unfinished);
        let opened = opened.map_err(Error::write(&unfinished))?;
        match opened.lock() {
            // Some network file systems have no locks: there the last one counts.
            Err(error) if error.kind() != io::ErrorKind::Unsupported => {
                return Err(Error::write(&unfinished)(error));
            }
            _ => {}
        }
        if file.exists() {
            // Of somebody who came between the other one's renaming and this.
            let _ = fs::remove_file(&unfinished);
            return Ok(());
        }
        opened.set_len(0).map_err(Error::write(&unfinished))?;
        let written = self.write(&opened, &unfinished);
        if written.is_err() {
            // A disk that is full stays less full; the reason matters more than whether this works.
            let _ = opened.set_len(0);
        }
        written?;
        fs::rename(&unfinished, file).map_err(Error::write(file))
    }

    fn write(&self, opened: &File, file: &Path) -> Result<()> {
        let mut output = BufWriter::new(opened);
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
        let files: Vec<PathBuf> =
            fs::read_dir(root.path().join("cache")).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 2);

        // A cache that something else has damaged.
        let texts = [root.path().join("a.txt")];
        let cache = IdCache { folder: &root.path().join("cache"), texts: &texts, tokenizer: &tokenizer };
        for damage in [&[][..], &[0xff, 0xff], &[5, 0, 1]] {
            for file in &files {
                fs::write(file, damage).unwrap();
            }
            let error = cache.open().unwrap_err().to_string();
            assert!(error.contains(".ids: largest id: found ") && error.contains("below 10, two"), "{error}");
        }
    }

    /// Whatever an interrupted run left, and however many want it at once.
    #[test]
    fn made_once_for_all() {
        let root = tempfile::tempdir().unwrap();
        let vocabulary = root.path().join("vocab.txt");
        fs::write(&vocabulary, "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\n").unwrap();
        let tokenizer = WordPieceTokenizer::read(&vocabulary).unwrap();
        let text = root.path().join("a.txt");
        fs::write(&text, "the ".repeat(20_000)).unwrap();
        let folder = root.path().join("cache");
        let open = || {
            let cache =
                IdCache { folder: &folder, texts: std::slice::from_ref(&text), tokenizer: &tokenizer };
            cache.open().unwrap().len()
        };
        assert_eq!(open(), 20_001);
        let made = fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
        for left in [&b"half of it"[..], &[7; 100_000]] {
            fs::remove_file(&made).unwrap();
            fs::write(made.with_extension("writing"), left).unwrap();
            std::thread::scope(|scope| {
                let all: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
                assert!(all.into_iter().all(|one| one.join().unwrap() == 20_001));
            });
            assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        }
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
