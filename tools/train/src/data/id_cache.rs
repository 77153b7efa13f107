//! Cache of the token ids of whole corpora, in a file that is mapped.
//!
//! The file holds two bytes per token, little-endian, in the order of the text. After the ids
//! follow their number and the largest of them, eight bytes each. A document ends at an empty line
//! and at the end of a text file; a `[SEP]` follows it.

use std::fs::{self, File, TryLockError};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufWriter, Write};
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use memmap2::Mmap;
use rayon::prelude::*;

use super::{WordPieceTokenizer, open_text};
use crate::error::{Error, Result};

/// Lines that are tokenized at once: enough for every core, few enough to keep in memory.
const LINES_AT_ONCE: usize = 8192;

/// Length in bytes of the two numbers after the ids.
const END: usize = 16;
/// Version of the format. It determines the file name, so a file of another version is not opened.
const FORMAT: u32 = 2;
const UNFINISHED: &str = "writing";

/// Texts of a cache, and its location.
#[derive(Debug)]
pub struct IdCache<'a> {
    /// Folder of the cache.
    pub folder: &'a Path,
    /// Text files, `.txt` or `.zst`.
    pub texts: &'a [PathBuf],
    /// Tokenizer that gives the ids.
    pub tokenizer: &'a WordPieceTokenizer,
}

/// A mapped cache.
#[derive(Debug)]
pub struct IdFile {
    map: Mmap,
}

impl IdCache<'_> {
    /// Opens the cache and creates it first if it does not exist. Its name depends on the paths,
    /// sizes and modification times of the texts and on the vocabulary, so a changed corpus gets
    /// another cache.
    pub fn open(&self) -> Result<IdFile> {
        let mut key = DefaultHasher::new();
        FORMAT.hash(&mut key);
        fs::read(self.tokenizer.file()).map_err(Error::read(self.tokenizer.file()))?.hash(&mut key);
        for text in self.texts {
            let metadata = fs::metadata(text).map_err(Error::read(text))?;
            (text, metadata.len(), metadata.modified().map_err(Error::read(text))?).hash(&mut key);
        }
        let file = self.folder.join(format!("{:016x}.ids", key.finish()));
        if !file.exists() {
            self.make(&file)?;
        }
        IdFile::map(&file, self.tokenizer.size())
    }

    /// Writes the cache under another name and renames it. Meanwhile other processes that need the
    /// same cache wait.
    fn make(&self, file: &Path) -> Result<()> {
        fs::create_dir_all(self.folder).map_err(Error::write(self.folder))?;
        let lock = file.with_extension("lock");
        let opened = File::options().write(true).create(true).truncate(false).open(&lock);
        let opened = opened.map_err(Error::write(&lock))?;
        if let Err(TryLockError::WouldBlock) = opened.try_lock() {
            eprintln!("waiting for another run that creates {}", file.display());
        }
        // Some network file systems have no locks. There every process writes a cache of its own,
        // and the last one remains.
        let locked = opened.lock().is_ok();
        if file.exists() {
            return Ok(());
        }
        if locked {
            // Removes files of interrupted runs. This process holds the lock, so no other process
            // writes them.
            for entry in fs::read_dir(self.folder).map_err(Error::read(self.folder))?.flatten() {
                let path = entry.path();
                if path.extension().is_some_and(|it| it == UNFINISHED)
                    && path.with_extension("").with_extension("ids") == file
                {
                    let _ = fs::remove_file(path);
                }
            }
        }
        let unfinished = file.with_extension(format!("{}.{UNFINISHED}", std::process::id()));
        let written = self.write(&unfinished);
        let made = written.and_then(|()| fs::rename(&unfinished, file).map_err(Error::write(file)));
        if made.is_err() {
            // Removes the incomplete file. The error above is returned; an error here is ignored.
            let _ = fs::remove_file(&unfinished);
            return made;
        }
        // Processes that wait for the lock have the file open, and find the cache afterwards.
        let _ = fs::remove_file(&lock);
        Ok(())
    }

    fn write(&self, file: &Path) -> Result<()> {
        let mut output = BufWriter::new(File::create(file).map_err(Error::write(file))?);
        let (mut count, mut largest) = (0_u64, 0_u16);
        let mut put = |ids: &[u16]| {
            count += ids.len() as u64;
            largest = ids.iter().fold(largest, |largest, &id| largest.max(id));
            let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
            output.write_all(&bytes).map_err(Error::write(file))
        };
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
                    put(&ids)?;
                }
            }
            put(&[self.tokenizer.special.sep])?;
        }
        progress.finish_and_clear();
        for number in [count, u64::from(largest)] {
            output.write_all(&number.to_le_bytes()).map_err(Error::write(file))?;
        }
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
    /// Maps `file`. Fails if its length is wrong or if its ids are not all below `vocabulary`.
    #[allow(unsafe_code)]
    fn map(file: &Path, vocabulary: usize) -> Result<Self> {
        let opened = File::open(file).map_err(Error::read(file))?;
        // SAFETY: the cache is written under another name and renamed when it is complete; nothing
        // here writes to it again. If another process truncated it meanwhile, this one would end
        // with SIGBUS, as with every mapped file.
        let map = unsafe { Mmap::map(&opened) }.map_err(Error::read(file))?;
        let refuse = |field: &str, found: String, expected: String| {
            let expected = format!("{expected}; delete the file to recreate it");
            Err(Error::field(file, field, found, expected))
        };
        let Some((ids, end)) = map.split_last_chunk::<END>() else {
            return refuse("bytes", map.len().to_string(), format!("at least {END}"));
        };
        let (numbers, _) = end.as_chunks::<8>();
        let [count, largest] = [0, 1].map(|index| u64::from_le_bytes(numbers[index]));
        if count.checked_mul(2) != Some(ids.len() as u64) {
            return refuse(
                "bytes",
                map.len().to_string(),
                format!("the bytes of the {count} ids that its last {END} bytes give"),
            );
        }
        if largest >= vocabulary as u64 {
            return refuse("largest id", largest.to_string(), format!("ids below {vocabulary}"));
        }
        Ok(Self { map })
    }

    /// Returns the number of ids.
    pub fn len(&self) -> usize {
        self.map.len() / 2 - END / 2
    }

    /// Returns whether there are no ids.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns `length` ids from `start` on.
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

        // A damaged cache.
        let texts = [root.path().join("a.txt")];
        let cache = IdCache { folder: &root.path().join("cache"), texts: &texts, tokenizer: &tokenizer };
        let whole = fs::read(&files[0]).unwrap();
        let mut large = whole.clone();
        large[whole.len() - 8] = 10;
        for (damaged, expected) in [
            (&whole[..whole.len() - 2], "bytes: found 36, expected the bytes of the "),
            (&whole[2..], "bytes: found 36, expected the bytes of the 11 ids"),
            (&[], "bytes: found 0, expected at least 16; delete the file to recreate it"),
            (&large, "largest id: found 10, expected ids below 10"),
        ] {
            for file in &files {
                fs::write(file, damaged).unwrap();
            }
            let error = cache.open().unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    /// An interrupted run left an incomplete file, and several threads open the cache at once.
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
        fs::remove_file(&made).unwrap();
        fs::write(made.with_extension("1.writing"), "half of it").unwrap();
        let other = folder.join("0123456789abcdef.1.writing");
        fs::write(&other, "of another text").unwrap();
        std::thread::scope(|scope| {
            let all: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
            assert!(all.into_iter().all(|one| one.join().unwrap() == 20_001));
        });
        assert!(other.exists());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
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
