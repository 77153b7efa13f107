//! Tokens of a text, one at a time.

use core::iter::FusedIterator;

use super::ascii;
use super::hash;
use super::normalizer::{Class, Normalizer, Unit};
use super::vocabulary::{SPECIAL_TOKENS, Vocabulary};
use super::word::Word;

/// A token and its place in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "callers make tokens of their own, for example in tests")]
pub struct Token {
    /// Index in the vocabulary.
    pub id: u16,
    /// First byte of the raw text from which the token comes.
    pub start: u32,
    /// The byte after the last one.
    pub end: u32,
}

/// The tokens of a text in order, without `[CLS]` and `[SEP]`; made by
/// [`super::Tokenizer::pieces`].
///
/// The iterator takes about 1.2 KiB for any text, and time in proportion to the length of the text.
/// Reading can stop and go on later. A clone reads the rest of the text a second time.
#[derive(Clone, Debug)]
pub struct Pieces<'a> {
    vocabulary: Vocabulary<'a>,
    normalizer: Normalizer<'a>,
    word: Word,
    /// Source of the offsets of the pieces that are being returned.
    origin: Origin<'a>,
}

/// Source of the characters of a word.
#[derive(Clone, Debug)]
enum Origin<'a> {
    /// Consecutive single bytes, of which this is the first.
    Bytes(u32),
    /// The units that this normalizer returns when it reads the word a second time.
    Replay(Normalizer<'a>),
}

impl<'a> Pieces<'a> {
    /// Creates the iterator over a text of at most `u32::MAX` bytes.
    pub(super) fn new(vocabulary: Vocabulary<'a>, text: &'a str) -> Self {
        Self { vocabulary, normalizer: Normalizer::new(text), word: Word::new(), origin: Origin::Bytes(0) }
    }

    /// Returns the next token after all pieces of the last word were returned.
    fn next_word(&mut self) -> Option<Token> {
        loop {
            let Some(position) = self.normalizer.idle_at() else {
                let unit = self.normalizer.next()?;
                match self.unit(unit) {
                    Some(token) => return Some(token),
                    None => continue,
                }
            };
            let bytes = self.normalizer.text().as_bytes();
            let rest = bytes.get(position..)?;
            let skipped = rest.iter().take_while(|&&byte| ascii::is_skipped(byte)).count();
            let position = position + skipped;
            self.normalizer.go_to(position);
            let byte = *bytes.get(position)?;
            if ascii::is_word(byte) {
                return Some(self.ascii_word(position));
            }
            // A position in a text is at most u32::MAX.
            let start = position as u32;
            if byte.is_ascii() {
                self.normalizer.go_to(position + 1);
                return Some(self.single(Unit {
                    c: byte.into(),
                    class: Class::Single,
                    start,
                    end: start + 1,
                }));
            }
            let unit = self.normalizer.next()?;
            if let Some(token) = self.unit(unit) {
                return Some(token);
            }
        }
    }

    /// Returns the first token of the word or single character that begins with `unit`, which was
    /// just read. A space has no token.
    fn unit(&mut self, unit: Unit) -> Option<Token> {
        match unit.class {
            Class::Space => None,
            Class::Single => Some(self.single(unit)),
            Class::Word => {
                self.normalizer.put_back(unit);
                self.word.clear();
                let replay = self.normalizer.clone();
                let (start, end) = (unit.start, self.read_units(unit.end));
                Some(self.finish_word(Origin::Replay(replay), start, end))
            }
        }
    }

    /// Returns the first token of the word whose first character is a letter or digit of ASCII at
    /// `position`.
    fn ascii_word(&mut self, position: usize) -> Token {
        let rest = self.normalizer.text().as_bytes().get(position..).unwrap_or_default();
        self.word.clear();
        let length = self.word.push_ascii(rest);
        let after = position + length;
        // Positions in a text are at most u32::MAX.
        let (start, end) = (position as u32, after as u32);
        // A neighbour that is not ASCII may be a mark or a letter, and a removed character joins
        // its neighbours.
        let joined = rest.get(length).is_some_and(|&byte| ascii::may_join(byte));
        if !joined {
            self.normalizer.go_to(after);
            return self.finish_word(Origin::Bytes(start), start, end);
        }
        self.normalizer.go_to(position);
        let replay = self.normalizer.clone();
        self.normalizer.go_to(after);
        let characters = self.word.len();
        let end = self.read_units(end);
        let origin =
            if self.word.len() == characters { Origin::Bytes(start) } else { Origin::Replay(replay) };
        self.finish_word(origin, start, end)
    }

    /// Adds units to the word until it ends, and returns its end. `end` is the end of the last
    /// character so far.
    fn read_units(&mut self, mut end: u32) -> u32 {
        while let Some(unit) = self.normalizer.next() {
            match unit.class {
                Class::Word => {
                    self.word.push(unit.c);
                    end = unit.end;
                }
                Class::Single => {
                    self.normalizer.put_back(unit);
                    break;
                }
                Class::Space => break,
            }
        }
        end
    }

    /// Splits the word, keeps its pieces and returns the first one.
    fn finish_word(&mut self, origin: Origin<'a>, start: u32, end: u32) -> Token {
        if let Some(id) = self.word.whole(&self.vocabulary) {
            return Token { id, start, end };
        }
        if !self.word.split(&self.vocabulary) {
            return Token { id: self.vocabulary.special().unk, start, end };
        }
        self.origin = origin;
        self.next_piece().unwrap_or(Token { id: self.vocabulary.special().unk, start, end })
    }

    fn next_piece(&mut self) -> Option<Token> {
        let (id, characters) = self.word.next_piece()?;
        let (start, end) = match &mut self.origin {
            Origin::Bytes(next) => {
                let start = *next;
                // A piece has no more characters than its word has bytes in the text.
                *next += characters as u32;
                (start, *next)
            }
            Origin::Replay(normalizer) => {
                let first = normalizer.next()?;
                let last = (1..characters).filter_map(|_| normalizer.next()).last();
                (first.start, last.map_or(first.end, |last| last.end))
            }
        };
        Some(Token { id, start, end })
    }

    /// Returns the token of a character that is a word of its own, or of the special token that
    /// begins with it.
    fn single(&mut self, unit: Unit) -> Token {
        let Unit { c, start, end, .. } = unit;
        if c == '[' {
            let rest = self.normalizer.text().as_bytes().get(start as usize..).unwrap_or_default();
            if let Some((id, length)) = self.special_token(rest) {
                let end = start as usize + length;
                self.normalizer.go_to(end);
                return Token { id, start, end: end as u32 };
            }
        }
        let mut bytes = [0; 4];
        let bytes = c.encode_utf8(&mut bytes).as_bytes();
        let found = self.vocabulary.find(hash::push(0, c.into()), false, bytes);
        Token { id: found.unwrap_or(self.vocabulary.special().unk), start, end }
    }

    /// Returns id and length of the special token with which a text begins.
    fn special_token(&self, text: &[u8]) -> Option<(u16, usize)> {
        let special = self.vocabulary.special();
        let ids = [special.pad, special.unk, special.cls, special.sep, special.mask];
        let mut known = SPECIAL_TOKENS.iter().zip(ids);
        known.find(|(token, _)| text.starts_with(token.as_bytes())).map(|(token, id)| (id, token.len()))
    }
}

impl Iterator for Pieces<'_> {
    type Item = Token;

    #[inline]
    fn next(&mut self) -> Option<Token> {
        if self.word.has_pieces() {
            return self.next_piece();
        }
        self.next_word()
    }
}

impl FusedIterator for Pieces<'_> {}
