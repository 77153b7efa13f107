//! Keys of texts. A key depends on the pieces of a text only, not on their ids in a vocabulary.

use crate::data::WordPieceTokenizer;
use crate::error::Result;

/// Hash of each piece's bytes, indexed by id.
#[derive(Debug)]
pub struct Keys(Vec<u64>);

impl Keys {
    /// Returns the keys of the pieces of `tokenizer`.
    pub fn of(tokenizer: &WordPieceTokenizer) -> Result<Self> {
        Ok(Self(tokenizer.pieces.iter().map(|piece| checksum(piece.as_bytes())).collect()))
    }

    /// Returns the key of a text from its framed ids. `[CLS]` and `[SEP]`, which every text has,
    /// are left out. Two of ten million texts share a key with a probability of 3e-6.
    pub fn of_text(&self, ids: &[u16]) -> u64 {
        let pieces = ids.get(1..ids.len().saturating_sub(1)).unwrap_or(&[]);
        pieces.iter().fold(START, |state, &id| {
            let piece = self.0.get(usize::from(id)).copied().unwrap_or(0);
            // The multiplier is the increment of SplitMix64. Multiplication mixes the high bits of
            // a product best; the shift carries them into the low bits.
            let mixed = (state ^ piece).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            mixed ^ (mixed >> 29)
        })
    }
}

/// Returns the 64-bit FNV-1a hash of `bytes`.
pub fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(START, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

const START: u64 = 0xcbf2_9ce4_8422_2325;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_follow_from_the_pieces_and_their_order() {
        let keys = |pieces: &[&str]| Keys(pieces.iter().map(|it| checksum(it.as_bytes())).collect());
        let (one, other) = (keys(&["[CLS]", "[SEP]", "a", "b"]), keys(&["<s>", "a", "b", "</s>"]));
        assert_eq!(one.of_text(&[0, 2, 3, 1]), other.of_text(&[0, 1, 2, 3]));
        assert_ne!(one.of_text(&[0, 2, 3, 1]), one.of_text(&[0, 3, 2, 1]));
        assert_ne!(one.of_text(&[0, 2, 1]), one.of_text(&[0, 2, 2, 1]));
        assert_eq!(one.of_text(&[]), one.of_text(&[0, 1]));
        // A published value of FNV-1a.
        assert_eq!(checksum(b"a"), 0xaf63_dc4c_8601_ec8c);
    }
}
