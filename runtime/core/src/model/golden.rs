//! Golden sentences: texts with the exact logits that a model gives for them.
//!
//! The logits have the same bits on every machine and with every engine. A machine that computes
//! other bits therefore has a damaged model, damaged code or a broken processor.

use core::fmt;

/// A text and the bits of its logits, from a line `golden=BITS TEXT` of the metadata. BITS are
/// eight hexadecimal digits per logit, separated by commas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Golden<'m> {
    /// The text. It has no line breaks.
    pub text: &'m str,
    bits: &'m str,
}

impl<'m> Golden<'m> {
    pub(super) fn new(value: &'m str) -> Self {
        let (bits, text) = value.split_once(' ').unwrap_or((value, ""));
        Self { text, bits }
    }

    /// Compares the bits of the logits of a run of this text with those in the file.
    ///
    /// # Errors
    /// When the file has no bits here, has another number of logits, or when a logit differs.
    pub fn check(&self, logits: &[f32]) -> Result<(), GoldenError> {
        let mut expected = self.bits.split(',');
        for (index, logit) in logits.iter().enumerate() {
            let expected = expected.next().ok_or(GoldenError::Count { found: logits.len() })?;
            let expected = parse_bits(expected).ok_or(GoldenError::Unreadable)?;
            let found = logit.to_bits();
            if found != expected {
                return Err(GoldenError::Differs { index, found, expected });
            }
        }
        match expected.next() {
            None => Ok(()),
            Some(_) => Err(GoldenError::Count { found: logits.len() }),
        }
    }
}

fn parse_bits(digits: &str) -> Option<u32> {
    let is_word = digits.len() == 8 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    u32::from_str_radix(digits, 16).ok().filter(|_| is_word)
}

/// Difference between a run and a golden sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GoldenError {
    /// The bits in the file are not hexadecimal numbers.
    Unreadable,
    /// The file has another number of logits for this text than the run.
    Count {
        /// Number of logits of the run.
        found: usize,
    },
    /// A logit differs.
    Differs {
        /// Index of the first logit that differs.
        index: usize,
        /// Its bits.
        found: u32,
        /// Its bits in the file.
        expected: u32,
    },
}

impl fmt::Display for GoldenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable => f.write_str("golden sentence: the file has no readable bits for it"),
            Self::Count { found } => {
                write!(f, "golden sentence: {found} logits found, the file has another number")
            }
            Self::Differs { index, found, expected } => {
                write!(f, "golden sentence: logit {index} has the bits {found:08x}, expected {expected:08x}")
            }
        }
    }
}

impl core::error::Error for GoldenError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_difference_is_found() {
        let golden = Golden::new("3f800000,c0000000 A  text.");
        assert_eq!((golden.text, golden.check(&[1.0, -2.0])), ("A  text.", Ok(())));
        let differs = GoldenError::Differs { index: 1, found: 0x4000_0000, expected: 0xc000_0000 };
        assert_eq!(golden.check(&[1.0, 2.0]), Err(differs));
        assert_eq!(golden.check(&[1.0]), Err(GoldenError::Count { found: 1 }));
        assert_eq!(golden.check(&[1.0, -2.0, 0.0]), Err(GoldenError::Count { found: 3 }));
        let negative_zero = Golden::new("00000000 x").check(&[-0.0]);
        assert_eq!(negative_zero, Err(GoldenError::Differs { index: 0, found: 1 << 31, expected: 0 }));
    }

    #[test]
    fn unreadable_bits_never_pass() {
        for bad in ["", " text", "+f800000 x", "3f80000 x", "3f8000000 x", "3f8000\u{e9} x"] {
            assert_eq!(Golden::new(bad).check(&[1.0]), Err(GoldenError::Unreadable), "{bad:?}");
        }
    }
}
