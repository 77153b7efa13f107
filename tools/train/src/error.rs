//! Errors of this crate. Every message is one line that gives the place, what was found there and
//! what was expected.

use std::io;
use std::path::{Path, PathBuf};

use electra_formats::error::quoted;

/// Reason why a command stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder could not be opened or read.
    #[error("{}: cannot be read: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// A file or folder could not be written, for example because the disk is full.
    #[error("{}: cannot be written: {source}", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// A file is well-formed, but something in it is contradictory or unsupported.
    #[error("{}: {field}: found {found}, expected {expected}", file.display())]
    Field {
        /// The file.
        file: PathBuf,
        /// The field, tensor, column or line at fault.
        field: String,
        /// Content that was found.
        found: String,
        /// Content that would have been accepted.
        expected: String,
    },
    /// A loss or norm of a step is not a number, or infinite.
    #[error("step {step}: the {what} is {found}, expected a finite number; {kept}")]
    NotFinite {
        /// The step, counted from 1.
        step: u64,
        /// Name of the loss or norm.
        what: &'static str,
        /// Its value.
        found: f64,
        /// Last checkpoint that can be used, in words.
        kept: String,
    },
    /// The chosen device does not exist.
    #[error("device {wanted}: found none, expected one that libtorch can use ({hint})")]
    Device {
        /// Name of the requested device.
        wanted: &'static str,
        /// Advice to the user.
        hint: &'static str,
    },
    /// libtorch refused an operation, for example because GPU memory is exhausted.
    #[error("libtorch: {}", first_line(.0))]
    Torch(#[from] tch::TchError),
    /// The processes of a run did not find each other, or lost each other.
    #[error("processes: {action}: {reason}")]
    Processes {
        /// Action that failed.
        action: &'static str,
        /// Message of libtorch; if joining failed, also the rank of the process.
        reason: String,
    },
    /// Several processes were started for a command that runs in one.
    #[error("WORLD_SIZE is {size}, but {command} runs in one process")]
    OneProcess {
        /// Name of the command.
        command: &'static str,
        /// Number of processes.
        size: u64,
    },
    /// Another process uses the folder of a run.
    #[error("{}: another run works in this folder; wait for its end, or choose another --output", folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// The tokenizer refused a text or its own vocabulary.
    #[error("{}: tokenizer: {reason}", file.display())]
    Tokenizer {
        /// The vocabulary file.
        file: PathBuf,
        /// Message of the `tokenizers` crate.
        reason: String,
    },
}

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn read(file: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::Read { file: file.to_path_buf(), source }
    }

    pub(crate) fn write(file: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::Write { file: file.to_path_buf(), source }
    }

    pub(crate) fn field(
        file: &Path,
        field: impl AsRef<str>,
        found: impl AsRef<str>,
        expected: impl Into<String>,
    ) -> Self {
        Self::Field {
            file: file.to_path_buf(),
            field: quoted(field.as_ref()),
            found: quoted(found.as_ref()),
            expected: expected.into(),
        }
    }
}

/// Converts errors of the readers that this crate shares with the packer.
impl From<electra_formats::Error> for Error {
    fn from(error: electra_formats::Error) -> Self {
        match error {
            electra_formats::Error::Read { file, source } => Self::Read { file, source },
            electra_formats::Error::Field { file, field, found, expected } => {
                Self::Field { file, field, found, expected }
            }
            electra_formats::Error::Json { file, source } => {
                Self::field(&file, "content", format!("no valid JSON ({source})"), "a JSON object")
            }
            other => Self::Read { file: PathBuf::new(), source: io::Error::other(other) },
        }
    }
}

/// Returns the first line of a message. libtorch appends a C++ stack trace to its messages.
fn first_line(error: &tch::TchError) -> String {
    let text = match error {
        tch::TchError::Torch(message) => message.clone(),
        other => other.to_string(),
    };
    text.lines().next().unwrap_or_default().to_owned()
}
