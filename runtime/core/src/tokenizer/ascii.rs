//! Classes and lower case of single bytes, as normalisation and word splitting see them.

const OTHER: u8 = 0;
const REMOVED: u8 = 1;
const SPACE: u8 = 2;
const SINGLE: u8 = 3;

/// A letter or digit in lower case, or one of the constants above; [`OTHER`] is no ASCII.
pub(super) static ASCII: [u8; 256] = table();

const fn table() -> [u8; 256] {
    let mut table = [OTHER; 256];
    let mut byte = 0;
    while byte < 128 {
        let c = byte as u8;
        table[byte] = if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else if matches!(c, b' ' | b'\t' | b'\n' | b'\r') {
            SPACE
        } else if c.is_ascii_punctuation() {
            SINGLE
        } else {
            REMOVED
        };
        byte += 1;
    }
    table
}

/// Whether a byte is a letter or a digit.
#[inline]
pub(super) fn is_word(byte: u8) -> bool {
    ASCII[usize::from(byte)] > SINGLE
}

/// Whether a byte between words makes no token.
#[inline]
pub(super) fn is_skipped(byte: u8) -> bool {
    matches!(ASCII[usize::from(byte)], SPACE | REMOVED)
}

/// Whether the character that starts with this byte may leave the word before it open.
#[inline]
pub(super) fn may_join(byte: u8) -> bool {
    matches!(ASCII[usize::from(byte)], OTHER | REMOVED)
}
