//! Errors of a model file.

use core::fmt;

use super::format::{self, SectionKind};
use crate::config::ConfigError;
use crate::tokenizer::VocabularyError;

/// A model file that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum ModelError {
    /// There are fewer bytes than a header has, or than the header states.
    TooShort {
        /// Bytes needed.
        needed: u64,
        /// Bytes found.
        found: usize,
    },
    /// The first bytes are not those of a model file.
    Magic,
    /// The file was written in big-endian order.
    BigEndian,
    /// The file has another version of the format.
    Version {
        /// The file's version.
        found: u32,
    },
    /// A header field has an unknown value.
    Header {
        /// The field's name.
        field: &'static str,
        /// Its value.
        found: u32,
    },
    /// The bytes do not begin at a multiple of four.
    Misaligned,
    /// An entry of the section table has a wrong kind, offset or length.
    SectionTable(SectionKind),
    /// A section is longer or shorter than the config says.
    SectionLength(SectionKind),
    /// A section's text is not UTF-8.
    NotUtf8(SectionKind),
    /// A section's bytes are damaged.
    SectionChecksum(SectionKind),
    /// The header or the section table is damaged.
    FileChecksum,
    /// A field of the config is not supported.
    Config(ConfigError),
    /// The vocabulary's structure is broken.
    Vocabulary(VocabularyError),
    /// The threshold of a label in the metadata is not a number from 0 to 1.
    Threshold,
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort { needed, found } => write!(f, "truncated: {found} bytes, expected {needed}"),
            Self::Magic => f.write_str("not an electra model file: it does not begin with \"ELECTRA\\0\""),
            Self::BigEndian => f.write_str("written in big-endian byte order, little-endian expected"),
            Self::Version { found } => {
                write!(f, "format version {found} found, {} expected: ", format::VERSION)?;
                f.write_str(match *found {
                    1 => "convert it with `electra pack OLD.electra -o NEW.electra`",
                    _ => "another version of electra wrote this file",
                })
            }
            Self::Header { field, found } => write!(f, "header: {field} is {found:#x}, which is unknown"),
            Self::Misaligned => f.write_str("its address in memory must be a multiple of 4"),
            Self::SectionTable(kind) => {
                write!(f, "section table: the entry of section {} is wrong", kind.name())
            }
            Self::SectionLength(kind) => {
                write!(f, "section {}: its length does not fit the config", kind.name())
            }
            Self::NotUtf8(kind) => write!(f, "section {}: its text is not UTF-8", kind.name()),
            Self::SectionChecksum(kind) => {
                write!(f, "section {}: checksum mismatch: the file is damaged", kind.name())
            }
            Self::FileChecksum => {
                f.write_str("header or section table: checksum mismatch: the file is damaged")
            }
            Self::Config(error) => write!(f, "{error}"),
            Self::Vocabulary(error) => write!(f, "section vocabulary: {error}"),
            Self::Threshold => f.write_str(
                "metadata: the threshold of a label is not a number from 0 to 1 with at most 6 decimals",
            ),
        }
    }
}

impl core::error::Error for ModelError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Config(source) => Some(source),
            Self::Vocabulary(source) => Some(source),
            _ => None,
        }
    }
}
