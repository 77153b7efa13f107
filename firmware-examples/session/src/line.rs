//! Assembles lines of text from single bytes.

use core::fmt;

use heapless::Vec;

/// Largest number of bytes of a line, without its end.
pub const MAX_LINE_BYTES: usize = 512;

/// The byte that a terminal sends for Ctrl-D. It ends the session at any position of a line.
const END_OF_TRANSMISSION: u8 = 0x04;

/// Collects bytes until a line is complete. A line ends with LF, CR or both. Empty lines are
/// skipped.
#[derive(Debug, Default)]
pub struct LineBuffer {
    bytes: Vec<u8, MAX_LINE_BYTES>,
    refused: Option<LineError>,
    /// Whether the bytes were returned as a line and must be dropped.
    complete: bool,
}

impl LineBuffer {
    /// Returns an empty buffer.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), refused: None, complete: false }
    }

    /// Adds one byte. Returns an input if the byte completes one. A refused line is reported at its
    /// end, and the next line is read normally.
    pub fn push(&mut self, byte: u8) -> Option<Input<'_>> {
        if core::mem::take(&mut self.complete) {
            self.bytes.clear();
        }
        match byte {
            END_OF_TRANSMISSION => Some(Input::End),
            b'\n' | b'\r' => self.finish(),
            _ => {
                if self.bytes.push(byte).is_err() {
                    self.refused.get_or_insert(LineError::TooLong);
                }
                None
            }
        }
    }

    /// Records that bytes were lost. The line that they belonged to is refused.
    pub fn lose(&mut self) {
        self.refused.get_or_insert(LineError::Lost);
    }

    fn finish(&mut self) -> Option<Input<'_>> {
        self.complete = true;
        if let Some(error) = self.refused.take() {
            return Some(Input::Refused(error));
        }
        match core::str::from_utf8(&self.bytes) {
            Ok("") => None,
            Ok(line) => Some(Input::Line(line)),
            Err(error) => Some(Input::Refused(LineError::NotUtf8 { at: error.valid_up_to() })),
        }
    }
}

/// Input that the received bytes form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input<'a> {
    /// A line, without its end.
    Line(&'a str),
    /// A line that cannot be used.
    Refused(LineError),
    /// End of the session; an incomplete line is dropped.
    End,
}

/// Reason why a line is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineError {
    /// More than [`MAX_LINE_BYTES`] bytes.
    TooLong,
    /// Bytes that are not UTF-8.
    NotUtf8 {
        /// Number of valid bytes before the first invalid one.
        at: usize,
    },
    /// Bytes arrived faster than they were read.
    Lost,
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "line: more than {MAX_LINE_BYTES} bytes"),
            Self::NotUtf8 { at } => write!(f, "line: byte {at} is not UTF-8"),
            Self::Lost => f.write_str("line: UART overrun, bytes were lost"),
        }
    }
}

impl core::error::Error for LineError {}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::{String, ToString};
    use std::{format, vec, vec::Vec};

    use super::*;

    /// Returns all inputs that `bytes` form, as texts.
    fn inputs(buffer: &mut LineBuffer, bytes: &[u8]) -> Vec<String> {
        let mut inputs = vec![];
        for byte in bytes {
            match buffer.push(*byte) {
                Some(Input::Line(line)) => inputs.push(format!("<{line}>")),
                Some(Input::Refused(error)) => inputs.push(error.to_string()),
                Some(Input::End) => inputs.push("end".to_string()),
                None => {}
            }
        }
        inputs
    }

    #[test]
    fn every_line_end_ends_one_line() {
        let mut buffer = LineBuffer::new();
        assert_eq!(inputs(&mut buffer, b"a\nb\rc\r\n\n\rd e\n"), ["<a>", "<b>", "<c>", "<d e>"]);
    }

    #[test]
    fn the_longest_line_passes_and_one_byte_more_does_not() {
        let mut buffer = LineBuffer::new();
        let mut bytes = vec![b'x'; MAX_LINE_BYTES];
        bytes.push(b'\n');
        let longest = format!("<{}>", "x".repeat(MAX_LINE_BYTES));
        assert_eq!(inputs(&mut buffer, &bytes), [longest]);
        bytes.insert(0, b'x');
        bytes.extend(b"next\n");
        assert_eq!(inputs(&mut buffer, &bytes), ["line: more than 512 bytes", "<next>"]);
    }

    #[test]
    fn invalid_utf8_names_its_byte_and_the_next_line_is_whole() {
        let mut buffer = LineBuffer::new();
        let found = inputs(&mut buffer, b"caf\xe9 bar\n\xe2\x82\n\xc3\xa9\n");
        assert_eq!(found, ["line: byte 3 is not UTF-8", "line: byte 0 is not UTF-8", "<\u{e9}>"]);
    }

    #[test]
    fn lost_bytes_spoil_only_their_line() {
        let mut buffer = LineBuffer::new();
        assert!(inputs(&mut buffer, b"it was n").is_empty());
        buffer.lose();
        let found = inputs(&mut buffer, b" good\nit was not good\n");
        assert_eq!(found, ["line: UART overrun, bytes were lost", "<it was not good>"]);
    }

    #[test]
    fn the_end_comes_within_a_line_too() {
        assert_eq!(inputs(&mut LineBuffer::new(), b"a\nb\x04"), ["<a>", "end"]);
    }
}
