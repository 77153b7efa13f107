//! Class and lower case of single bytes, for normalisation and word splitting.

const OTHER: u8 = 0;
const REMOVED: u8 = 1;
const SPACE: u8 = 2;
const SINGLE: u8 = 3;

/// For each byte a letter or digit in lower case, or one of the constants above. [`OTHER`] marks
/// bytes that are not ASCII.
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

/// Returns whether a byte is a letter or a digit of ASCII.
#[inline]
pub(super) fn is_word(byte: u8) -> bool {
    ASCII[usize::from(byte)] > SINGLE
}

/// Returns whether a byte between words makes no token.
#[inline]
pub(super) fn is_skipped(byte: u8) -> bool {
    matches!(ASCII[usize::from(byte)], SPACE | REMOVED)
}

/// Returns whether the word before this byte may go on: the byte starts a character that is not
/// ASCII, or one that is removed.
#[inline]
pub(super) fn may_join(byte: u8) -> bool {
    matches!(ASCII[usize::from(byte)], OTHER | REMOVED)
}
