//! The vocabulary section of a model file, used in place.
//!
//! # Format
//!
//! All numbers are little-endian. The section starts on a multiple of 4 bytes, and its parts follow
//! each other without gaps. There are `n` tokens, `b = n / 256 + 1` blocks of starts and `2^k`
//! slots:
//!
//! | offset | type | content |
//! |---|---|---|
//! | 0 | u32 | `n`, 1 to 65,535 |
//! | 4 | u32 | `t`, length of the text in bytes |
//! | 8 | u16 × 5 | ids of `[PAD]`, `[UNK]`, `[CLS]`, `[SEP]`, `[MASK]` |
//! | 18 | u16 | `k`, 1 to 17 |
//! | 20 | u16 | characters of the longest token, a prefix `##` not counted |
//! | 22 | u16 | most slots that a search may look at, 1 to 256 |
//! | 24 | u32 × `b` | start of token `256 i` in the text, or its length if `256 i = n` |
//! | 24 + 4b | u16 × (`n` + 1) | starts of the tokens and end of the text, less the block's entry |
//! | 24 + 4b + 2(`n` + 1) | u16 × `2^k` | hash table: an id, or 0xFFFF in an empty slot |
//! | 24 + 4b + 2(`n` + 1) + 2^(k + 1) | u8 × `t` | tokens by id, UTF-8, unseparated |
//!
//! A token is at most 255 bytes long, so starts within a block of 256 tokens fit a u16.
//!
//! The hash of a token without its prefix `##` is the polynomial `c₁ Kᵐ⁻¹ + c₂ Kᵐ⁻² + … + cₘ` over
//! its `m` code points, modulo 2³², with `K = 0x2C1B3C6D`. Its first slot is the upper `k` bits of
//! the product, modulo 2³², of the hash (for a token with the prefix: the hash xor 0x85EBCA6B) and
//! 0x9E3779B1. If that slot is taken, the next one is tried, and after the last slot the first.
//! With a polynomial, the hash of any part of a word follows from the hashes of the word's
//! beginnings. Of equal tokens, the table holds the one with the highest id.

use core::{error, fmt, str};

use super::hash;

#[cfg(target_endian = "big")]
compile_error!("the vocabulary section is little-endian and used in place");

/// Maximum number of tokens in a vocabulary: ids are u16, and 0xFFFF marks an empty slot.
pub const MAX_TOKENS: usize = 65_535;
/// Maximum number of bytes in a token.
pub const MAX_TOKEN_BYTES: usize = 255;
/// Maximum number of slots, as a power of two.
pub const MAX_SLOT_BITS: u32 = 17;
/// Maximum number of slots that a search for one token may look at.
pub const MAX_PROBES: u16 = 256;
/// Value of an empty slot.
pub const EMPTY_SLOT: u16 = u16::MAX;
/// Bytes of the header.
pub const HEADER_BYTES: usize = 24;
/// Tokens per block. The starts in a block are relative to the block's entry.
pub const BLOCK_TOKENS: usize = 256;
/// Prefix of a token that continues a word.
pub const CONTINUATION_PREFIX: &str = "##";
/// The special tokens, in the order of their ids in the header.
pub const SPECIAL_TOKENS: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

/// Ids of the special tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpecialIds {
    /// Fills the shorter sequences of a batch.
    pub pad: u16,
    /// Stands for a word that the vocabulary cannot spell.
    pub unk: u16,
    /// Begins every sequence.
    pub cls: u16,
    /// Ends every sequence.
    pub sep: u16,
    /// Stands for a token that was hidden.
    pub mask: u16,
}

/// A vocabulary in the bytes of its section.
#[derive(Clone, Copy, Debug)]
pub struct Vocabulary<'m> {
    blocks: &'m [u32],
    starts: &'m [u16],
    slots: &'m [u16],
    text: &'m str,
    special: SpecialIds,
    slot_bits: u32,
    longest: usize,
    probes: u16,
}

impl<'m> Vocabulary<'m> {
    /// Checks a section once. Afterwards no lookup can fail on its contents.
    ///
    /// It does not check that each token lies in the slot that its hash requires. A token in
    /// another slot is not found.
    ///
    /// # Errors
    ///
    /// When the bytes are not a vocabulary section or do not start on a multiple of 4 bytes.
    pub fn from_bytes(section: &'m [u8]) -> Result<Self, VocabularyError> {
        let Some((header, body)) = section.split_at_checked(HEADER_BYTES) else {
            return Err(VocabularyError::Length { found: section.len(), expected: HEADER_BYTES as u64 });
        };
        // The header has HEADER_BYTES bytes, and the numbers read here lie within it.
        let u16_at = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
        let u32_at = |at: usize| u32::from(u16_at(at)) | u32::from(u16_at(at + 2)) << 16;

        let count = u32_at(0);
        let tokens = count as usize;
        if tokens == 0 || tokens > MAX_TOKENS {
            return Err(VocabularyError::TokenCount { found: count });
        }
        let slot_bits = u32::from(u16_at(18));
        if slot_bits == 0 || slot_bits > MAX_SLOT_BITS {
            return Err(VocabularyError::SlotBits { found: slot_bits });
        }
        let probes = u16_at(22);
        if probes == 0 || probes > MAX_PROBES {
            return Err(VocabularyError::Probes { found: probes });
        }
        let block_bytes = 4 * (tokens / BLOCK_TOKENS + 1);
        let start_bytes = 2 * (tokens + 1);
        let slot_bytes = 2 << slot_bits;
        let before_text = HEADER_BYTES + block_bytes + start_bytes + slot_bytes;
        let expected = before_text as u64 + u64::from(u32_at(4));
        if section.len() as u64 != expected {
            return Err(VocabularyError::Length { found: section.len(), expected });
        }
        // The parts add up to the length that was just compared.
        let (blocks, body) = body.split_at(block_bytes);
        let (starts, body) = body.split_at(start_bytes);
        let (slots, text) = body.split_at(slot_bytes);

        let vocabulary = Self {
            blocks: bytemuck::try_cast_slice(blocks).map_err(|_| VocabularyError::Misaligned)?,
            starts: bytemuck::try_cast_slice(starts).map_err(|_| VocabularyError::Misaligned)?,
            slots: bytemuck::try_cast_slice(slots).map_err(|_| VocabularyError::Misaligned)?,
            text: str::from_utf8(text).map_err(|error| VocabularyError::Text { at: error.valid_up_to() })?,
            special: SpecialIds {
                pad: u16_at(8),
                unk: u16_at(10),
                cls: u16_at(12),
                sep: u16_at(14),
                mask: u16_at(16),
            },
            slot_bits,
            longest: usize::from(u16_at(20)),
            probes,
        };
        vocabulary.check_starts()?;
        vocabulary.check_slots()?;
        vocabulary.check_special()?;
        Ok(vocabulary)
    }

    /// Returns the number of tokens.
    #[must_use]
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Returns whether there are no tokens, which a valid section rules out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the ids of the special tokens.
    #[must_use]
    pub fn special(&self) -> SpecialIds {
        self.special
    }

    /// Returns the text of a token, with its prefix `##` if it has one.
    #[must_use]
    pub fn token(&self, id: u16) -> Option<&'m str> {
        let id = usize::from(id);
        if id >= self.len() {
            return None;
        }
        self.text.get(self.start(id)?..self.start(id + 1)?)
    }

    /// Returns the id of a token, given with its prefix `##` if it has one. Of equal tokens it
    /// returns the highest id.
    #[must_use]
    pub fn id(&self, token: &str) -> Option<u16> {
        match token.strip_prefix(CONTINUATION_PREFIX) {
            Some(rest) => self.find(hash::of(rest), true, rest.as_bytes()),
            None => self.find(hash::of(token), false, token.as_bytes()),
        }
    }

    /// Returns the number of characters of the longest token, its prefix not counted.
    pub(super) fn longest(&self) -> usize {
        self.longest
    }

    /// Returns the id of the token that is `text`, after the prefix if it is a `continuation`.
    /// `hash` is that of `text`.
    #[inline]
    pub(super) fn find(&self, hash: u32, continuation: bool, text: &[u8]) -> Option<u16> {
        let mut slot = hash::first_slot(hash, continuation, self.slot_bits);
        for _ in 0..self.probes {
            let id = *self.slots.get(slot)?;
            if id == EMPTY_SLOT {
                return None;
            }
            if self.is_token(id, continuation, text) {
                return Some(id);
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
        None
    }

    #[inline]
    fn is_token(&self, id: u16, continuation: bool, text: &[u8]) -> bool {
        let (Some(start), Some(end)) = (self.start(id.into()), self.start(usize::from(id) + 1)) else {
            return false;
        };
        let prefix = if continuation { CONTINUATION_PREFIX.len() } else { 0 };
        if end.wrapping_sub(start) != text.len() + prefix {
            return false;
        }
        let Some(token) = self.text.as_bytes().get(start..end) else {
            return false;
        };
        match continuation {
            true => token.strip_prefix(CONTINUATION_PREFIX.as_bytes()) == Some(text),
            false => token == text,
        }
    }

    #[inline]
    fn start(&self, token: usize) -> Option<usize> {
        let block = *self.blocks.get(token / BLOCK_TOKENS)?;
        let start = *self.starts.get(token)?;
        Some((block as usize).wrapping_add(start.into()))
    }

    fn check_starts(&self) -> Result<(), VocabularyError> {
        let mut before = 0;
        let blocks = self.blocks.iter().zip(self.starts.chunks(BLOCK_TOKENS));
        for (index, (&block, starts)) in blocks.enumerate() {
            for (within, &start) in starts.iter().enumerate() {
                let token = index * BLOCK_TOKENS + within;
                let found = u64::from(block) + u64::from(start);
                // A sum beyond the text is refused below, so any other sum fits a usize.
                let at = found as usize;
                let in_text = found <= self.text.len() as u64 && self.text.is_char_boundary(at);
                let ordered =
                    if token == 0 { at == 0 } else { at >= before && at - before <= MAX_TOKEN_BYTES };
                if !in_text || !ordered {
                    return Err(VocabularyError::Start { token, found, before });
                }
                before = at;
            }
        }
        if before != self.text.len() {
            return Err(VocabularyError::Start { token: self.len(), found: before as u64, before });
        }
        Ok(())
    }

    fn check_slots(&self) -> Result<(), VocabularyError> {
        let tokens = self.len();
        match self.slots.iter().position(|&id| id != EMPTY_SLOT && usize::from(id) >= tokens) {
            Some(slot) => Err(VocabularyError::Slot { slot, tokens }),
            None => Ok(()),
        }
    }

    fn check_special(&self) -> Result<(), VocabularyError> {
        let SpecialIds { pad, unk, cls, sep, mask } = self.special;
        for (id, expected) in [pad, unk, cls, sep, mask].into_iter().zip(SPECIAL_TOKENS) {
            if self.token(id) != Some(expected) {
                return Err(VocabularyError::Special { id, expected });
            }
        }
        Ok(())
    }
}

/// Errors of a vocabulary section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VocabularyError {
    /// The section does not start on a multiple of 4 bytes.
    Misaligned,
    /// The section does not have the length that its header gives.
    Length {
        /// Bytes given.
        found: usize,
        /// Bytes that the header gives, or the header's own length where the section is shorter
        /// than that.
        expected: u64,
    },
    /// The number of tokens is out of range.
    TokenCount {
        /// The value in the header.
        found: u32,
    },
    /// The number of slots is out of range.
    SlotBits {
        /// The value in the header.
        found: u32,
    },
    /// The maximum length of a search is out of range.
    Probes {
        /// The value in the header.
        found: u16,
    },
    /// The text is not UTF-8.
    Text {
        /// Offset in the text of the first wrong byte.
        at: usize,
    },
    /// A token does not start at a possible place in the text.
    Start {
        /// Id of the token, or the number of tokens for the end of the text.
        token: usize,
        /// Its start in the text, in bytes.
        found: u64,
        /// Start of the token before it, in bytes.
        before: usize,
    },
    /// A slot holds an id that belongs to no token.
    Slot {
        /// Index of the slot.
        slot: usize,
        /// Number of tokens.
        tokens: usize,
    },
    /// The id of a special token belongs to another token.
    Special {
        /// The value in the header.
        id: u16,
        /// The special token.
        expected: &'static str,
    },
}

impl fmt::Display for VocabularyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Misaligned => write!(f, "vocabulary: the section does not start on a multiple of 4 bytes"),
            Self::Length { found, expected } => {
                write!(f, "vocabulary: the section has {found} bytes, expected {expected}")
            }
            Self::TokenCount { found } => {
                write!(f, "vocabulary: token count is {found}, expected 1 to {MAX_TOKENS}")
            }
            Self::SlotBits { found } => {
                write!(f, "vocabulary: slot count is 2^{found}, expected 2^1 to 2^{MAX_SLOT_BITS}")
            }
            Self::Probes { found } => {
                write!(f, "vocabulary: searches look at {found} slots, expected 1 to {MAX_PROBES}")
            }
            Self::Text { at } => write!(f, "vocabulary: byte {at} of the text is not UTF-8"),
            Self::Start { token, found, before } => write!(
                f,
                "vocabulary: token {token} starts at byte {found} of the text, expected the start of a character \
                 within the text, 0 to {MAX_TOKEN_BYTES} bytes after {before}"
            ),
            Self::Slot { slot, tokens } => {
                write!(f, "vocabulary: slot {slot} holds an unknown id, expected an id below {tokens}")
            }
            Self::Special { id, expected } => {
                write!(f, "vocabulary: the id given for {expected} is {id}, which is not that token's")
            }
        }
    }
}

impl error::Error for VocabularyError {}
