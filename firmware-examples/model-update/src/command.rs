//! The lines that the device understands.

use core::fmt;

use electra_slots::ModelInfo;

/// Most bytes of a piece of a model in one line. In hexadecimal digits, with the command and the
/// offset, they fit into [`session::line::MAX_LINE_BYTES`].
pub const MAX_PIECE_BYTES: usize = 240;

/// A line, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command<'l> {
    /// `status`
    Status,
    /// `begin LENGTH CRC VERSION`: a model of this size arrives.
    Begin(ModelInfo),
    /// `piece OFFSET HEX`: bytes of the model, in hexadecimal digits.
    Piece {
        /// Place of the first byte in the model file.
        offset: u32,
        /// Two digits per byte, not yet checked; see [`Piece::decode`].
        digits: &'l str,
    },
    /// `signature TEXT`: a line of the signature file.
    Signature(&'l str),
    /// `resume`: go on with a model of which a part has arrived.
    Resume,
    /// `finish`: check the model that has arrived and switch to it.
    Finish,
    /// `restart`
    Restart,
    /// `confirm`: end the trial.
    Confirm,
    /// `rollback`: return to the other model.
    Rollback,
    /// `self-test`: run the golden sentences of the model in use.
    SelfTest,
    /// `classify TEXT`
    Classify(&'l str),
}

impl<'l> Command<'l> {
    /// Takes a line apart.
    ///
    /// # Errors
    /// When the line is no command, or when a field is missing, superfluous or no number.
    pub fn parse(line: &'l str) -> Result<Self, CommandError> {
        let (name, rest) = line.split_once(' ').map_or((line, None), |(name, rest)| (name, Some(rest)));
        let text = |expected| rest.ok_or(CommandError { name: "line", expected });
        let alone = |command| match rest {
            None => Ok(command),
            Some(_) => Err(CommandError { name: "line", expected: "nothing after the command" }),
        };
        match name {
            "status" => alone(Self::Status),
            "begin" => parse_begin(text("begin LENGTH CRC VERSION")?),
            "piece" => {
                let expected = "piece OFFSET HEX";
                let (offset, digits) =
                    text(expected)?.split_once(' ').ok_or(CommandError { name: "line", expected })?;
                Ok(Self::Piece { offset: decimal("offset", offset)?, digits })
            }
            "signature" => Ok(Self::Signature(text("signature and a line of the signature file")?)),
            "resume" => alone(Self::Resume),
            "finish" => alone(Self::Finish),
            "restart" => alone(Self::Restart),
            "confirm" => alone(Self::Confirm),
            "rollback" => alone(Self::Rollback),
            "self-test" => alone(Self::SelfTest),
            "classify" => Ok(Self::Classify(text("classify TEXT")?)),
            _ => Err(CommandError {
                name: "command",
                expected: "status, begin, piece, signature, resume, finish, restart, confirm, rollback, \
                           self-test or classify",
            }),
        }
    }
}

fn parse_begin(fields: &str) -> Result<Command<'_>, CommandError> {
    let wrong = CommandError { name: "line", expected: "begin LENGTH CRC VERSION" };
    let mut fields = fields.split(' ');
    let mut next = || fields.next().ok_or(wrong);
    let (length, crc, version) = (next()?, next()?, next()?);
    if next().is_ok() {
        return Err(wrong);
    }
    let is_crc = crc.len() == 8 && crc.bytes().all(|digit| digit.is_ascii_hexdigit());
    let crc = u32::from_str_radix(crc, 16).ok().filter(|_| is_crc);
    Ok(Command::Begin(ModelInfo::new(
        decimal("length", length)?,
        crc.ok_or(CommandError { name: "CRC", expected: "eight hexadecimal digits" })?,
        decimal("version", version)?,
    )))
}

/// Parses decimal digits. A sign is an error.
fn decimal(name: &'static str, digits: &str) -> Result<u32, CommandError> {
    let is_number = digits.bytes().all(|digit| digit.is_ascii_digit());
    let number = digits.parse().ok().filter(|_| is_number);
    number.ok_or(CommandError { name, expected: "a number below 4294967296" })
}

/// The bytes of a line `piece`.
#[derive(Debug)]
pub struct Piece {
    bytes: [u8; MAX_PIECE_BYTES],
    len: usize,
}

impl Piece {
    /// Decodes hexadecimal digits.
    ///
    /// # Errors
    /// When there are no digits, an odd number of them or too many, or another character.
    pub fn decode(digits: &str) -> Result<Self, CommandError> {
        let wrong = CommandError { name: "piece", expected: "1 to 240 bytes in hexadecimal digits" };
        let len = digits.len() / 2;
        if digits.is_empty() || digits.len() % 2 == 1 || len > MAX_PIECE_BYTES {
            return Err(wrong);
        }
        let mut bytes = [0; MAX_PIECE_BYTES];
        for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
            for digit in pair {
                let value = char::from(*digit).to_digit(16).ok_or(wrong)?;
                *byte = *byte << 4 | value as u8;
            }
        }
        Ok(Self { bytes, len })
    }

    /// Returns the bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// A line that is no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandError {
    /// The wrong field.
    pub name: &'static str,
    /// Description of a right value.
    pub expected: &'static str,
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}", self.name, self.expected)
    }
}

impl core::error::Error for CommandError {}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::format;
    use std::string::{String, ToString};

    use super::*;

    #[test]
    fn every_command_is_recognised() {
        let model = ModelInfo::new(30_528, 0x2643_2b78, 2);
        for (line, command) in [
            ("status", Command::Status),
            ("begin 30528 26432b78 2", Command::Begin(model)),
            ("piece 4294967295 0aFF", Command::Piece { offset: u32::MAX, digits: "0aFF" }),
            ("signature untrusted comment: x", Command::Signature("untrusted comment: x")),
            ("resume", Command::Resume),
            ("finish", Command::Finish),
            ("restart", Command::Restart),
            ("confirm", Command::Confirm),
            ("rollback", Command::Rollback),
            ("self-test", Command::SelfTest),
            ("classify  a text ", Command::Classify(" a text ")),
        ] {
            assert_eq!(Command::parse(line), Ok(command), "{line}");
        }
        assert_eq!(Piece::decode("0aFF").unwrap().bytes(), [0x0a, 0xff]);
        assert_eq!(Piece::decode(&"5a".repeat(MAX_PIECE_BYTES)).unwrap().bytes(), [0x5a; MAX_PIECE_BYTES]);
    }

    #[test]
    fn the_longest_piece_fits_into_a_line() {
        let line = format!("piece {} {}", u32::MAX, "5a".repeat(MAX_PIECE_BYTES));
        assert!(line.len() <= session::line::MAX_LINE_BYTES);
    }

    #[test]
    fn a_wrong_field_is_named() {
        for (line, error) in [
            ("", "command: expected status, begin"),
            ("stat", "command: expected status, begin"),
            ("status now", "line: expected nothing after the command"),
            ("confirm ", "line: expected nothing after the command"),
            ("begin", "line: expected begin LENGTH CRC VERSION"),
            ("begin 1 26432b78", "line: expected begin LENGTH CRC VERSION"),
            ("begin 1 26432b78 2 3", "line: expected begin LENGTH CRC VERSION"),
            ("begin 4294967296 26432b78 2", "length: expected a number"),
            ("begin +1 26432b78 2", "length: expected a number"),
            ("begin 1 +6432b78 2", "CRC: expected eight hexadecimal digits"),
            ("begin 1 26432b7 2", "CRC: expected eight hexadecimal digits"),
            ("begin 1 26432b78 -2", "version: expected a number"),
            ("begin 1 26432b78 ", "version: expected a number"),
            ("piece", "line: expected piece OFFSET HEX"),
            ("piece 0", "line: expected piece OFFSET HEX"),
            ("piece x 00", "offset: expected a number"),
            ("signature", "line: expected signature and"),
            ("classify", "line: expected classify TEXT"),
        ] {
            let found = Command::parse(line).map_err(|error| error.to_string());
            assert!(matches!(&found, Err(found) if found.starts_with(error)), "{line:?}: {found:?}");
        }
        for digits in ["", "0", "000", "0g", "+1", " 1", "\u{e9}", &"00".repeat(MAX_PIECE_BYTES + 1)] {
            assert_eq!(Piece::decode(digits).err().unwrap().name, "piece", "{digits:?}");
        }
    }

    /// Each byte has its two digits, as `format!` writes them.
    #[test]
    fn digits_are_those_of_the_standard_library() {
        for byte in 0..=u8::MAX {
            assert_eq!(Piece::decode(&format!("{byte:02x}{byte:02X}")).unwrap().bytes(), [byte, byte]);
        }
        let other: String = (0u8..128).map(char::from).filter(|c| !c.is_ascii_hexdigit()).collect();
        assert!(other.chars().all(|c| Piece::decode(&format!("{c}0")).is_err()));
    }
}
