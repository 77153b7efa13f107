//! A file that a command writes. It is replaced as a whole, and only a file of the same kind is
//! overwritten.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use electra_core::model::format::MAGIC;

use crate::error::Error;

/// The kind of file that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A model file.
    Model,
    /// A picture.
    Svg,
    /// A signature in the format of minisign.
    Signature,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Model => "a model file",
            Self::Svg => "an SVG picture",
            Self::Signature => "a signature of minisign",
        }
    }

    /// Returns whether a file that begins with `bytes` can be of this kind.
    fn begins(self, bytes: &[u8]) -> bool {
        match self {
            Self::Model => bytes.starts_with(&MAGIC),
            Self::Svg => bytes.starts_with(b"<svg") || bytes.starts_with(b"<?xml"),
            Self::Signature => bytes.starts_with(b"untrusted comment: "),
        }
    }
}

/// The file to write.
#[derive(Debug)]
pub struct OutputFile(PathBuf);

impl OutputFile {
    /// Resolves `path`. Refuses an existing file that is neither empty nor of the same kind,
    /// because it may be the source of the model.
    ///
    /// # Errors
    /// Fails if the file is refused or cannot be read.
    pub fn new(path: &Path, kind: Kind) -> Result<Self, Error> {
        let refuse = |problem: &'static str| {
            let expected = format!("a new file or {} to replace", kind.name());
            Err(Error::Output { file: path.to_path_buf(), problem, expected })
        };
        let Ok(target) = path.canonicalize() else {
            return match path.is_symlink() {
                true => refuse("is a broken link"),
                false => Ok(Self(path.to_path_buf())),
            };
        };
        if !target.is_file() {
            return refuse(if target.is_dir() { "is a directory" } else { "is not a regular file" });
        }
        let mut beginning = Vec::new();
        let read = File::open(&target).and_then(|file| file.take(64).read_to_end(&mut beginning));
        if let Err(error) = read {
            return Err(Error::Write { file: path.to_path_buf(), source: error });
        }
        if !beginning.is_empty() && !kind.begins(&beginning) {
            return refuse("is a file of another kind");
        }
        Ok(Self(target))
    }

    /// Writes a temporary file beside the target and renames it. A file in use is therefore never
    /// half written.
    ///
    /// # Errors
    /// Fails if the file cannot be written. The target is unchanged then.
    pub fn write(&self, bytes: &[u8]) -> Result<(), Error> {
        let path = &self.0;
        let mut partial = path.as_os_str().to_owned();
        partial.push(format!(".{}.partial", std::process::id()));
        let partial = Path::new(&partial);
        let created = File::options().write(true).create_new(true).open(partial);
        let write = |mut file: File| {
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(partial, path)
        };
        let written = created.and_then(|file| {
            write(file).inspect_err(|_| {
                // A failure to remove the file is ignored; the first error is reported.
                let _ = fs::remove_file(partial);
            })
        });
        written.map_err(|source| Error::Write { file: path.clone(), source })
    }
}
