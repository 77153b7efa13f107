//! Opens and reads regular files.

use std::fs::{self, File};
use std::io::{Read, Take};
use std::path::Path;

use crate::error::Error;

/// Largest JSON or vocabulary file that is read, in bytes. Published ones have a few megabytes at
/// most.
pub const MAX_TEXT_FILE: u64 = 256 << 20;
/// Largest file of weights that is read, in bytes. ELECTRA-Large in f32 has 1.3 GB.
pub const MAX_WEIGHT_FILE: u64 = 16 << 30;

/// First bytes of the small text that Git LFS leaves in place of a file that it has not fetched
/// (<https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md>).
pub(crate) const LFS_POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";

/// Opens a regular file of 1 to `limit` bytes.
///
/// A folder, a pipe or a device is refused before it is opened.
///
/// # Errors
///
/// Fails if the file is missing, empty, larger than `limit`, not a regular file, or a Git LFS
/// pointer.
pub fn open(file: &Path, limit: u64) -> Result<Take<File>, Error> {
    let metadata = fs::metadata(file).map_err(|source| Error::read(file, source))?;
    if !metadata.is_file() {
        let found = if metadata.is_dir() { "a folder" } else { "neither a file nor a folder" };
        return Err(Error::field(file, "path", found, "a file"));
    }
    if metadata.len() == 0 || metadata.len() > limit {
        let found = format!("{} bytes", metadata.len());
        return Err(Error::field(file, "size", found, format!("1 to {limit} bytes")));
    }
    let opened = File::open(file).map_err(|source| Error::read(file, source))?;
    refuse_lfs_pointer(file)?;
    Ok(opened.take(limit))
}

/// Reads a regular file of 1 to `limit` bytes.
///
/// # Errors
///
/// Returns the errors of [`open`] and read errors of the operating system.
pub fn read_bytes(file: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    open(file, limit)?.read_to_end(&mut bytes).map_err(|source| Error::read(file, source))?;
    Ok(bytes)
}

/// Reads a text file in UTF-8 of at most [`MAX_TEXT_FILE`] bytes, without a byte order mark at its
/// start.
///
/// # Errors
///
/// Returns the errors of [`read_bytes`], and an error for bytes that are not UTF-8.
pub fn read_text(file: &Path) -> Result<String, Error> {
    let mut text = String::from_utf8(read_bytes(file, MAX_TEXT_FILE)?).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        Error::field(file, format!("byte {offset}"), "no valid UTF-8", "text in UTF-8")
    })?;
    if text.starts_with('\u{feff}') {
        text.remove(0);
    }
    Ok(text)
}

/// Refuses a file that Git LFS has not fetched.
fn refuse_lfs_pointer(file: &Path) -> Result<(), Error> {
    let mut beginning = Vec::new();
    File::open(file)
        .and_then(|opened| opened.take(LFS_POINTER.len() as u64).read_to_end(&mut beginning))
        .map_err(|source| Error::read(file, source))?;
    if beginning == LFS_POINTER {
        return Err(lfs_pointer(file));
    }
    Ok(())
}

pub(crate) fn lfs_pointer(file: &Path) -> Error {
    let expected = "the file itself; run `git lfs pull` in its repository";
    Error::field(file, "content", "a Git LFS pointer", expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_of_git_lfs_is_called_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("model.safetensors");
        fs::write(&file, "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n").unwrap();
        let error = read_bytes(&file, MAX_WEIGHT_FILE).unwrap_err().to_string();
        assert!(error.ends_with(
            "content: found a Git LFS pointer, expected the file itself; run `git lfs pull` in its repository"
        ));
        fs::write(&file, "version https://git-lfs").unwrap();
        assert!(read_bytes(&file, MAX_WEIGHT_FILE).is_ok());
    }
}
