//! Errors of the library; each says which file, what was found and what was expected.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use electra_core::tokenizer::TextTooLong;
use electra_core::{ArenaError, HeadKind, ModelError, RunError, UnknownKernels};

/// What went wrong.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The model file could not be opened.
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is no model, or a damaged one.
    Model {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
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
    /// No model was named and none was found where the default lies.
    NoDefaultModel {
        /// Where it was looked for.
        searched: Vec<PathBuf>,
    },
    /// The arena is smaller than the longest sequence needs.
    Arena(ArenaError),
    /// The arena could not be allocated.
    OutOfMemory {
        /// Bytes asked for.
        bytes: usize,
    },
    /// `max_tokens` cannot hold a text, or exceeds the model's positions.
    MaxTokens {
        /// The number asked for.
        found: usize,
        /// The model's positions.
        most: usize,
    },
    /// A label to be left out that the model lacks, or that would leave fewer than two.
    Without {
        /// The label.
        label: String,
        /// The model's labels.
        labels: Vec<String>,
    },
    /// No such number of threads for one text.
    Threads {
        /// The number asked for.
        found: usize,
        /// The most there can be.
        most: usize,
    },
    /// The threads could not be pinned to cores of their own.
    Pinning {
        /// Threads to pin.
        threads: usize,
        /// Cores that this process may use.
        cores: usize,
    },
    /// The system started no thread.
    Thread(io::Error),
    /// No kernels of that name on this processor.
    Kernels {
        /// The name.
        name: String,
        /// What there is.
        source: UnknownKernels,
    },
    /// A text longer than offsets reach.
    Text(TextTooLong),
    /// A run failed.
    Run(RunError),
    /// The engine failed outside our own operators.
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
