//! One normalised word and its division into pieces.

use super::ascii::{self, ASCII};
use super::hash;
use super::vocabulary::Vocabulary;

/// Maximum number of characters of a word. Longer words are unknown.
pub(super) const MAX_CHARS: usize = hash::MAX_CHARS;

/// A word of up to [`MAX_CHARS`] characters, or the information that it has more.
#[derive(Clone, Debug)]
pub(super) struct Word {
    /// UTF-8 of the first [`MAX_CHARS`] characters.
    text: [u8; 4 * MAX_CHARS],
    bytes: usize,
    /// Number of characters, of which at most [`MAX_CHARS`] are in `text`.
    characters: usize,
    /// Hashes of the beginnings of the text, indexed by their number of characters. While the word
    /// is split, its pieces overwrite the hashes that are no longer needed, as id << 8 | number of
    /// characters.
    hashes: [u32; MAX_CHARS + 1],
    pieces: usize,
    returned: usize,
}

impl Word {
    pub(super) fn new() -> Self {
        Self {
            text: [0; 4 * MAX_CHARS],
            bytes: 0,
            characters: 0,
            hashes: [0; MAX_CHARS + 1],
            pieces: 0,
            returned: 0,
        }
    }

    pub(super) fn clear(&mut self) {
        (self.bytes, self.characters, self.pieces, self.returned) = (0, 0, 0, 0);
        self.hashes[0] = 0;
    }

    /// Returns the number of characters.
    pub(super) fn len(&self) -> usize {
        self.characters
    }

    /// Begins a cleared word with the letters and digits of ASCII at the beginning of `text`, in
    /// lower case, and returns their number.
    #[inline]
    pub(super) fn push_ascii(&mut self, text: &[u8]) -> usize {
        let mut hash = 0;
        let mut count = 0;
        for ((&byte, place), prefix) in text.iter().zip(&mut self.text).zip(&mut self.hashes[1..]) {
            if !ascii::is_word(byte) {
                break;
            }
            let lower = ASCII[usize::from(byte)];
            hash = hash::push(hash, lower.into());
            *place = lower;
            *prefix = hash;
            count += 1;
        }
        self.bytes = count;
        if count == MAX_CHARS {
            count += text.iter().skip(MAX_CHARS).take_while(|&&byte| ascii::is_word(byte)).count();
        }
        self.characters = count;
        count
    }

    pub(super) fn push(&mut self, c: char) {
        let before = self.hashes.get(self.characters).copied();
        self.characters += 1;
        let length = c.len_utf8();
        let place = self.text.get_mut(self.bytes..self.bytes + length);
        if let (Some(before), Some(hash), Some(place)) = (before, self.hashes.get_mut(self.characters), place)
        {
            *hash = hash::push(before, c.into());
            c.encode_utf8(place);
            self.bytes += length;
        }
    }

    /// Returns the id of the token that is the whole word.
    #[inline]
    pub(super) fn whole(&self, vocabulary: &Vocabulary<'_>) -> Option<u16> {
        let hash = *self.hashes.get(self.characters)?;
        vocabulary.find(hash, false, self.text.get(..self.bytes)?)
    }

    /// Splits the word into the longest possible tokens, from its beginning on. Returns whether
    /// that is possible.
    pub(super) fn split(&mut self, vocabulary: &Vocabulary<'_>) -> bool {
        self.pieces = 0;
        if self.characters > MAX_CHARS {
            return false;
        }
        let mut start = Boundary { character: 0, byte: 0 };
        while start.character < self.characters {
            let Some((id, end)) = self.longest_piece(vocabulary, start) else {
                self.pieces = 0;
                return false;
            };
            // Each piece so far has at least one character, so this place is before `end` and its
            // hash is not needed again. The length of a piece fits a byte.
            let Some(place) = self.hashes.get_mut(self.pieces) else { return false };
            *place = u32::from(id) << 8 | (end.character - start.character) as u32;
            self.pieces += 1;
            start = end;
        }
        true
    }

    pub(super) fn has_pieces(&self) -> bool {
        self.returned < self.pieces
    }

    /// Returns id and number of characters of the next piece.
    pub(super) fn next_piece(&mut self) -> Option<(u16, usize)> {
        if !self.has_pieces() {
            return None;
        }
        let piece = *self.hashes.get(self.returned)?;
        self.returned += 1;
        // The two parts that `split` combined.
        Some(((piece >> 8) as u16, (piece & 0xFF) as usize))
    }

    /// Returns the longest token that starts at a place in the word, and its end.
    fn longest_piece(&self, vocabulary: &Vocabulary<'_>, start: Boundary) -> Option<(u16, Boundary)> {
        let before = *self.hashes.get(start.character)?;
        let mut end = Boundary { character: self.characters, byte: self.bytes };
        while end.character > start.character {
            let characters = end.character - start.character;
            if characters <= vocabulary.longest() {
                let hash = hash::part(*self.hashes.get(end.character)?, before, characters);
                let text = self.text.get(start.byte..end.byte)?;
                if let Some(id) = vocabulary.find(hash, start.character > 0, text) {
                    return Some((id, end));
                }
            }
            end = self.one_before(end)?;
        }
        None
    }

    fn one_before(&self, boundary: Boundary) -> Option<Boundary> {
        let text = self.text.get(..boundary.byte)?;
        // The bytes of a character after its first one are 0b10xxxxxx.
        let last = text.iter().rposition(|byte| byte & 0xC0 != 0x80)?;
        Some(Boundary { character: boundary.character.checked_sub(1)?, byte: last })
    }
}

/// A place between two characters of a word.
#[derive(Clone, Copy)]
struct Boundary {
    character: usize,
    byte: usize,
}
