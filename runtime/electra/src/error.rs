//! Errors of the library. Each message names the file, the value found and the value expected.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use electra_core::tokenizer::TextTooLong;
use electra_core::{ArenaError, HeadKind, ModelError, RunError, UnknownKernels};

/// Errors of the library.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The model file could not be opened.
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The file is not a model, or it is damaged.
    Model {
        /// The file.
        path: PathBuf,
        /// The error in the file.
        source: ModelError,
    },
    /// The model has the other head.
    Head {
        /// The file.
        path: PathBuf,
        /// Its head.
        found: HeadKind,
        /// The head that the call needs.
        expected: HeadKind,
    },
    /// No model was named and no default model was found.
    NoDefaultModel {
        /// The paths that were searched.
        searched: Vec<PathBuf>,
    },
    /// The arena is smaller than the longest sequence needs.
    Arena(ArenaError),
    /// The arena could not be allocated.
    OutOfMemory {
        /// Bytes asked for.
        bytes: usize,
    },
    /// `max_tokens` is too small for a text, or exceeds the model's positions.
    MaxTokens {
        /// The number asked for.
        found: usize,
        /// The model's positions.
        most: usize,
    },
    /// A label to leave out that the model lacks, or without which fewer than two would remain.
    Without {
        /// The label.
        label: String,
        /// The model's labels.
        labels: Vec<String>,
    },
    /// The number of threads for one text is out of range.
    Threads {
        /// The number asked for.
        found: usize,
        /// The maximum.
        most: usize,
    },
    /// The threads could not be pinned to cores of their own.
    Pinning {
        /// Threads to pin.
        threads: usize,
        /// Cores that this process may use.
        cores: usize,
    },
    /// The system could not start a thread.
    Thread(io::Error),
    /// This processor has no kernels of that name.
    Kernels {
        /// The name.
        name: String,
        /// The error, which lists the kernels of this processor.
        source: UnknownKernels,
    },
    /// The text is longer than the range of offsets.
    Text(TextTooLong),
    /// A run failed.
    Run(RunError),
    /// The engine failed outside our own operators, or a run of [`crate::Classifier`] failed.
    Engine(String),
}

impl Error {
    pub(crate) fn model(path: &Path, source: ModelError) -> Self {
        Self::Model { path: path.to_path_buf(), source }
    }
}

impl From<RunError> for Error {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Arena(error) => Self::Arena(error),
            error => Self::Run(error),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { path, source } => write!(f, "{}: {source}", path.display()),
            Self::Model { path, source } => write!(f, "{}: {source}", path.display()),
            Self::Head { path, found, expected } => write!(
                f,
                "{}: the model has a head for {}, expected one for {}",
                path.display(),
                head_name(*found),
                head_name(*expected)
            ),
            Self::Without { label, labels } => write!(
                f,
                "label {label} cannot be left out, expected labels of the model, {}, of which two stay at least",
                labels.join(", ")
            ),
            Self::NoDefaultModel { searched } => {
                f.write_str("no model given and no default model found; looked for ")?;
                for (index, path) in searched.iter().enumerate() {
                    write!(f, "{}{}", if index == 0 { "" } else { ", " }, path.display())?;
                }
                Ok(())
            }
            Self::Arena(error) => write!(f, "{error}"),
            Self::OutOfMemory { bytes } => write!(f, "arena: the system has no {bytes} bytes"),
            Self::MaxTokens { found, most } => {
                write!(f, "max_tokens is {found}, expected 3 to {most}, the model's positions")
            }
            Self::Threads { found, most } => write!(f, "{found} threads for one text, expected 1 to {most}"),
            Self::Pinning { threads, cores } => {
                write!(f, "{threads} threads cannot be pinned: this process may use {cores} cores")
            }
            Self::Thread(error) => write!(f, "no thread could be started: {error}"),
            Self::Kernels { name, source } => write!(f, "kernels {name:?}: {source}"),
            Self::Text(error) => write!(f, "{error}"),
            Self::Run(error) => write!(f, "{error}"),
            Self::Engine(message) => write!(f, "engine: {message}"),
        }
    }
}

fn head_name(head: HeadKind) -> &'static str {
    match head {
        HeadKind::Classification => "classification",
        HeadKind::ReplacedTokenDetection => "replaced-token detection",
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } | Self::Thread(source) => Some(source),
            _ => None,
        }
    }
}
