//! Errors of input and output files.

use std::io;
use std::path::{Path, PathBuf};

/// Longest text of an input file that a message quotes, in characters.
const MAX_QUOTED: usize = 120;

/// Reason why a file cannot be used. Every message is one line and starts with the path of
/// the file.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The file could not be opened or read.
    Read {
        /// The file.
        file: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The file is not JSON.
    Json {
        /// The file.
        file: PathBuf,
        /// The position and the reason.
        source: serde_json::Error,
    },
    /// The file is well-formed, but something in it is contradictory or unsupported.
    Field {
        /// The file.
        file: PathBuf,
        /// The field, tensor, graph node or line at fault.
        field: String,
        /// The value that was found.
        found: String,
        /// A description of the values that are accepted.
        expected: String,
    },
    /// The file could not be written.
    Write {
        /// The file.
        file: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The file must not be replaced.
    Output {
        /// The file.
        file: PathBuf,
        /// A description of the file that was found.
        problem: &'static str,
        /// A description of the files that are accepted.
        expected: String,
    },
}

impl Error {
    /// Returns the error for a file that could not be read.
    pub fn read(file: &Path, source: io::Error) -> Self {
        Self::Read { file: file.to_path_buf(), source }
    }

    /// Returns the error for a file that is not JSON.
    pub fn json(file: &Path, source: serde_json::Error) -> Self {
        Self::Json { file: file.to_path_buf(), source }
    }

    /// Returns the error for `field` of `file`, which holds `found`. Both texts go through
    /// [`quoted`].
    pub fn field(
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

/// Prepares text of an input file for a message of one line. Characters that control a terminal or
/// reorder the line are escaped. Text after the first 120 characters is cut off.
pub fn quoted(text: &str) -> String {
    let mut result = String::new();
    for (count, character) in text.chars().enumerate() {
        if count == MAX_QUOTED {
            result.push_str("...");
            break;
        }
        if controls_terminal(character) {
            result.extend(character.escape_default());
        } else {
            result.push(character);
        }
    }
    result
}

/// Joins names of an input file to a list for a message. Each name is cut to 40 characters. Names
/// that would make the list longer than about 400 bytes are only counted.
pub fn quoted_list<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    const LONGEST_NAME: usize = 40;
    const MOST: usize = 400;
    let (mut list, mut left_out) = (String::new(), 0);
    for name in names {
        let mut short: String = name.chars().take(LONGEST_NAME).collect();
        if short.len() < name.len() {
            short.push_str("...");
        }
        if list.len() + short.len() > MOST {
            left_out += 1;
            continue;
        }
        if !list.is_empty() {
            list.push_str(", ");
        }
        list.push_str(&quoted(&short));
    }
    if left_out > 0 {
        list.push_str(&format!(" and {left_out} more"));
    }
    list
}

/// Returns whether a terminal acts on the character instead of showing it. This holds for control
/// characters, the separators of lines and paragraphs, and the characters that change the direction
/// of a text (Unicode UAX 9).
pub fn controls_terminal(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Read { file, source } => {
                write!(f, "{}: cannot be read: {source}", file.display())
            }
            Self::Json { file, source } => {
                let reason = quoted(&source.to_string());
                write!(f, "{}: found no valid JSON ({reason}), expected a JSON object", file.display())
            }
            Self::Field { file, field, found, expected } => {
                write!(f, "{}: {field}: found {found}, expected {expected}", file.display())
            }
            Self::Write { file, source } => write!(f, "{}: {source}", file.display()),
            Self::Output { file, problem, expected } => {
                write!(f, "{}: {problem}, expected {expected}", file.display())
            }
        }
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Read { source, .. } | Self::Write { source, .. } => Some(source),
            Self::Json { source, .. } => Some(source),
            Self::Field { .. } | Self::Output { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_show_the_first_names_and_count_the_rest() {
        assert_eq!(quoted_list(["a", "b\u{1b}c"]), "a, b\\u{1b}c");
        let names = vec!["x".repeat(50); 12];
        let shown = quoted_list(names.iter().map(String::as_str));
        assert!(shown.ends_with("xxx... and 4 more") && shown.len() < 420, "{shown}");
    }

    #[test]
    fn foreign_text_neither_controls_a_terminal_nor_fills_it() {
        assert_eq!(quoted("a\u{1b}]0;x\u{7}\u{202e}b\n"), "a\\u{1b}]0;x\\u{7}\\u{202e}b\\n");
        assert_eq!(quoted(&"é".repeat(121)), format!("{}...", "é".repeat(120)));
    }
}
