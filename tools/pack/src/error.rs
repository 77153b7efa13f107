//! What can be wrong with a checkpoint that is to be packed.

use std::io;
use std::path::{Path, PathBuf};

/// Longest piece of a foreign file that a message repeats, in characters.
const MAX_QUOTED: usize = 120;

/// Why a checkpoint cannot be read. Every message is one line and starts with the file.
#[derive(Debug)]
pub enum Error {
    /// The file could not be opened or read.
    Read {
        /// The file.
        file: PathBuf,
        /// What the operating system answered.
        source: io::Error,
    },
    /// The file is not JSON.
    Json {
        /// The file.
        file: PathBuf,
        /// Where and why parsing stopped.
        source: serde_json::Error,
    },
    /// The file is not in the safetensors format.
    Safetensors {
        /// The file.
        file: PathBuf,
        /// Which rule of the format is broken.
        source: safetensors::SafeTensorError,
    },
    /// The file is not a protobuf `ModelProto` of ONNX.
    Protobuf {
        /// The file.
        file: PathBuf,
        /// Where and why decoding stopped.
        reason: String,
    },
    /// The file is well-formed, but something in it is contradictory or unsupported.
    Field {
        /// The file.
        file: PathBuf,
        /// The field, tensor, graph node or line at fault.
        field: String,
        /// What was found there.
        found: String,
        /// What would have been accepted.
        expected: String,
    },
}

impl Error {
    pub(crate) fn read(file: &Path, source: io::Error) -> Self {
        Self::Read { file: file.to_path_buf(), source }
    }

    pub(crate) fn json(file: &Path, source: serde_json::Error) -> Self {
        Self::Json { file: file.to_path_buf(), source }
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

/// Text from a foreign file made fit for a message of one line: control characters escaped, the end cut off.
fn quoted(text: &str) -> String {
    let mut result = String::new();
    for (count, character) in text.chars().enumerate() {
        if count == MAX_QUOTED {
            result.push_str("...");
            break;
        }
        if character.is_control() {
            result.extend(character.escape_default());
        } else {
            result.push(character);
        }
    }
    result
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Read { file, source } => {
                write!(f, "{}: cannot be read: {source}", file.display())
            }
            Self::Json { file, source } => {
                write!(
                    f,
                    "{}: found no valid JSON ({}), expected a JSON object",
                    file.display(),
                    quoted(&source.to_string())
                )
            }
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
            Self::Field { file, field, found, expected } => {
                write!(f, "{}: {field}: found {found}, expected {expected}", file.display())
            }
        }
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Read { source, .. } => Some(source),
            Self::Json { source, .. } => Some(source),
            Self::Safetensors { source, .. } => Some(source),
            Self::Protobuf { .. } | Self::Field { .. } => None,
        }
    }
}
