//! Errors of the library. Each message names the file, the value found and the value expected. It
//! includes the message of [`std::error::Error::source`].

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use electra_core::model::GoldenError;
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
        max: usize,
    },
    /// A label to leave out that the model lacks, or without which fewer than two would remain.
    Without {
        /// The label.
        label: String,
        /// The model's labels.
        labels: Vec<String>,
    },
    /// The smallest score of an answer is not from 0 to 1.
    MinScore {
        /// The score asked for.
        found: f32,
    },
    /// The model file has no golden sentences.
    NoGolden {
        /// The file.
        path: PathBuf,
    },
    /// A golden sentence is longer than the longest sequence of the engine.
    GoldenTooLong {
        /// The file.
        path: PathBuf,
        /// Longest sequence in tokens.
        max_tokens: usize,
    },
    /// The logits of a golden sentence differ from those in the model file.
    Golden {
        /// The file.
        path: PathBuf,
        /// Number of the sentence, from 1.
        sentence: usize,
        /// The difference.
        source: GoldenError,
    },
    /// The number of threads for one text is out of range.
    Threads {
        /// The number asked for.
        found: usize,
        /// The maximum.
        max: usize,
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
    /// tract failed outside the operators of this crate.
    Engine(String),
}

impl Error {
    pub(crate) fn model(path: &Path, source: ModelError) -> Self {
        Self::Model { path: path.to_path_buf(), source }
    }
}

impl Error {
    /// Returns the error of a run again, for another text of the same run.
    pub(crate) fn repeated(&self) -> Self {
        match self {
            Self::Arena(error) => Self::Arena(*error),
            Self::Run(error) => Self::Run(*error),
            Self::Engine(message) => Self::Engine(message.clone()),
            other => Self::Engine(other.to_string()),
        }
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
            Self::Head { path, found, expected } => {
                write!(f, "{}: the model has a head for {found}, expected one for {expected}", path.display(),)
            }
            Self::Without { label, labels } => write!(
                f,
                "label {label} cannot be left out: the model has {}, and at least two labels must remain",
                labels.join(", ")
            ),
            Self::MinScore { found } => write!(f, "min_score is {found}, expected 0 to 1"),
            Self::NoGolden { path } => write!(
                f,
                "{}: the file has no golden sentences; pack the model again, `electra pack` adds them",
                path.display()
            ),
            Self::GoldenTooLong { path, max_tokens } => write!(
                f,
                "{}: a golden sentence has more than {max_tokens} tokens; increase max_tokens",
                path.display()
            ),
            Self::Golden { path, sentence, source } => {
                write!(f, "{}: sentence {sentence}: {source}", path.display())
            }
            Self::NoDefaultModel { searched } => {
                f.write_str("no model given and no default model found; looked for ")?;
                for (index, path) in searched.iter().enumerate() {
                    write!(f, "{}{}", if index == 0 { "" } else { ", " }, path.display())?;
                }
                Ok(())
            }
            Self::Arena(error) => write!(f, "{error}"),
            Self::OutOfMemory { bytes } => write!(f, "arena: the system cannot allocate {bytes} bytes"),
            Self::MaxTokens { found, max } => {
                write!(f, "max_tokens is {found}, expected 3 to {max}, the model's positions")
            }
            Self::Threads { found, max } => write!(f, "{found} threads for one text, expected 1 to {max}"),
            Self::Pinning { threads, cores } => {
                write!(f, "{threads} threads cannot be pinned: this process may use {cores} cores")
            }
            Self::Thread(error) => write!(f, "cannot start a thread: {error}"),
            Self::Kernels { name, source } => write!(f, "kernels {name:?}: {source}"),
            Self::Text(error) => write!(f, "{error}"),
            Self::Run(error) => write!(f, "{error}"),
            Self::Engine(message) => write!(f, "engine: {message}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } | Self::Thread(source) => Some(source),
            Self::Model { source, .. } => Some(source),
            Self::Arena(source) => Some(source),
            Self::Kernels { source, .. } => Some(source),
            Self::Text(source) => Some(source),
            Self::Run(source) => Some(source),
            Self::Golden { source, .. } => Some(source),
            Self::Head { .. }
            | Self::NoDefaultModel { .. }
            | Self::OutOfMemory { .. }
            | Self::MaxTokens { .. }
            | Self::Without { .. }
            | Self::MinScore { .. }
            | Self::NoGolden { .. }
            | Self::GoldenTooLong { .. }
            | Self::Threads { .. }
            | Self::Pinning { .. }
            | Self::Engine(_) => None,
        }
    }
}
