//! Errors about checkpoints that are to be packed.

use std::io;
use std::path::{Path, PathBuf};

use electra_formats::error::quoted;

use crate::model_file::PackError;

/// Reason why a checkpoint cannot be packed. Every message is one line and starts with the path of
/// the file.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The file could not be read, or something in it is contradictory or unsupported.
    File(electra_formats::Error),
    /// The file is not in the safetensors format.
    Safetensors {
        /// The file.
        file: PathBuf,
        /// The rule of the format that the file breaks.
        source: safetensors::SafeTensorError,
    },
    /// The file is not a protobuf `ModelProto` of ONNX.
    Protobuf {
        /// The file.
        file: PathBuf,
        /// Position and reason of the decoding error.
        reason: String,
    },
    /// The model cannot be written as a model file.
    Pack {
        /// The folder or file of the checkpoint.
        file: PathBuf,
        /// The reason.
        source: PackError,
    },
}

impl Error {
    pub(crate) fn read(file: &Path, source: io::Error) -> Self {
        Self::File(electra_formats::Error::read(file, source))
    }

    pub(crate) fn field(
        file: &Path,
        field: impl AsRef<str>,
        found: impl AsRef<str>,
        expected: impl Into<String>,
    ) -> Self {
        Self::File(electra_formats::Error::field(file, field, found, expected))
    }
}

impl From<electra_formats::Error> for Error {
    fn from(error: electra_formats::Error) -> Self {
        Self::File(error)
    }
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::Safetensors { file, source } => {
                write!(
                    f,
                    "{}: found no valid safetensors file ({}), expected one that is complete",
                    file.display(),
                    quoted(&source.to_string())
                )
            }
            Self::Protobuf { file, reason } => {
                write!(
                    f,
                    "{}: found no valid ONNX file ({}), expected a complete protobuf ModelProto",
                    file.display(),
                    quoted(reason)
                )
            }
            Self::Pack { file, source } => write!(f, "{}: {source}", file.display()),
        }
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::File(error) => error.source(),
            Self::Safetensors { source, .. } => Some(source),
            Self::Protobuf { .. } => None,
            Self::Pack { source, .. } => Some(source),
        }
    }
}
