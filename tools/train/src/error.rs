//! What can go wrong. Every message is one line that says where, what was found and what was expected.

use std::io;
use std::path::{Path, PathBuf};

use electra_formats::error::quoted;

/// Why a command stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder could not be opened or read.
    #[error("{}: cannot be read: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the operating system answered.
        source: io::Error,
    },
    /// A file or folder could not be written; a full disk ends here.
    #[error("{}: cannot be written: {source}", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// What the operating system answered.
        source: io::Error,
    },
    /// A file is well-formed, but something in it is contradictory or unsupported.
    #[error("{}: {field}: found {found}, expected {expected}", file.display())]
    Field {
        /// The file.
        file: PathBuf,
        /// The field, tensor, column or line at fault.
        field: String,
        /// What was found there.
        found: String,
        /// What would have been accepted.
        expected: String,
    },
    /// The loss of a step is not a number, or infinite.
    #[error("step {step}: the {what} is {found}, expected a finite number; {kept}")]
    NotFinite {
        /// The step, counted from 1.
        step: u64,
        /// Which loss or norm.
        what: &'static str,
        /// Its value.
        found: f64,
        /// Which checkpoint is still good, in words.
        kept: String,
    },
    /// The chosen device does not exist.
    #[error("device {wanted}: found none, expected one that libtorch can use ({hint})")]
    Device {
        /// The name asked for.
        wanted: &'static str,
        /// What to try.
        hint: &'static str,
    },
    /// libtorch refused an operation; running out of GPU memory is one such case.
    #[error("libtorch: {}", first_line(.0))]
    Torch(#[from] tch::TchError),
    /// The processes of a run lost or did not find each other.
    #[error("processes: {action}: {reason}")]
    Processes {
        /// What they were about to do.
        action: &'static str,
        /// Which of them, and what libtorch said.
        reason: String,
    },
    /// Several processes were started for a command that runs in one.
    #[error("WORLD_SIZE is {size}, but {command} runs in one process")]
    OneProcess {
        /// The command.
        command: &'static str,
        /// How many there are.
        size: u64,
    },
    /// Another process works in the folder of a run.
    #[error("{}: another run works in this folder; wait for its end, or choose another --output", folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// The tokenizer refused a text or its own vocabulary.
    #[error("{}: tokenizer: {reason}", file.display())]
    Tokenizer {
        /// The vocabulary.
        file: PathBuf,
        /// What the `tokenizers` crate said.
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

/// From the readers that the packer has, too.
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

/// libtorch appends a C++ stack trace to its messages.
fn first_line(error: &tch::TchError) -> String {
    let text = match error {
        tch::TchError::Torch(message) => message.clone(),
        other => other.to_string(),
    };
    text.lines().next().unwrap_or_default().to_owned()
}
