//! Normalised characters of a text, one at a time.
//!
//! The steps of `BertNormalizer` in the `tokenizers` crate (remove control characters, isolate
//! ideographs, decompose canonically, strip accents, lower the case) and the character classes of
//! its `BertPreTokenizer` are folded into one code per code point. Only canonical reordering cannot
//! be folded: see [`super::marks`].

use super::marks::{Marks, char_at};
use super::tables::{
    COMPATIBILITY, EXPANDED, HANGUL, KEPT_MARK, MARKED, REMOVED, SINGLE, SPACE, STRIPPED_MARK,
    STRIPPED_STARTER, WORD,
};
use super::unicode;

/// Role of a normalised character in the division into words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Part of a word.
    Word,
    /// A word of its own.
    Single,
    /// Between words.
    Space,
}

/// A normalised character and the bytes of the text from which it is reported to come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unit {
    pub(super) c: char,
    pub(super) class: Class,
    pub(super) start: u32,
    pub(super) end: u32,
}

/// Reads a text of at most `u32::MAX` bytes.
#[derive(Clone, Debug)]
pub(super) struct Normalizer<'t> {
    text: &'t str,
    /// Next byte to read.
    position: u32,
    /// Byte from which the marks at `position` are read: after the last character that is not a
    /// mark.
    marks_from: u32,
    /// Units to return before more text is read, in this order.
    waiting: [Option<Unit>; 3],
    marks: Option<Marks>,
}

impl<'t> Normalizer<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, position: 0, marks_from: 0, waiting: [None; 3], marks: None }
    }

    pub(super) fn text(&self) -> &'t str {
        self.text
    }

    /// Returns the next byte to read, if everything before it has been returned and no run of marks
    /// is being read.
    #[inline]
    pub(super) fn idle_at(&self) -> Option<usize> {
        (self.waiting[0].is_none() && self.marks.is_none()).then_some(self.position as usize)
    }

    /// Goes to a byte where a character starts and where marks would not belong to anything before
    /// it.
    #[inline]
    pub(super) fn go_to(&mut self, position: usize) {
        // Texts are at most u32::MAX bytes long.
        self.position = position as u32;
        self.marks_from = self.position;
    }

    /// Makes the next call of `next` return a unit once more. At most one unit can be put back at a
    /// time.
    pub(super) fn put_back(&mut self, unit: Unit) {
        let [first, second, _] = self.waiting;
        self.waiting = [Some(unit), first, second];
    }

    pub(super) fn next(&mut self) -> Option<Unit> {
        if let Some(unit) = self.take_waiting() {
            return Some(unit);
        }
        loop {
            if let Some(marks) = &mut self.marks {
                if let Some(unit) = marks.next(self.text) {
                    return Some(unit);
                }
                let end = marks.end();
                self.marks = None;
                self.go_to(end);
            }
            let start = self.position;
            let c = char_at(self.text, start)?;
            // Start and end are within a text of at most u32::MAX bytes.
            let end = start + c.len_utf8() as u32;
            self.position = end;
            let code = unicode::code(c);
            match code {
                REMOVED | STRIPPED_MARK => continue,
                KEPT_MARK => {
                    self.marks = Some(Marks::new(self.text, self.marks_from));
                    continue;
                }
                _ => self.marks_from = end,
            }
            let unit = |c, class| Unit { c, class, start, end };
            return Some(match code {
                WORD => unit(c, Class::Word),
                SPACE => unit(' ', Class::Space),
                SINGLE => unit(c, Class::Single),
                STRIPPED_STARTER => continue,
                COMPATIBILITY => unit(unicode::unified(c), Class::Single),
                HANGUL => self.first_of(unicode::jamo(c), start, end)?,
                EXPANDED => {
                    let [first, second] = unicode::expansion(c);
                    self.first_of([Some(first), Some(second), None], start, end)?
                }
                MARKED => {
                    self.marks = Some(Marks::new(self.text, start));
                    unit(unicode::marked(c).0, Class::Word)
                }
                _ => {
                    let c = unicode::replacement(c, code);
                    unit(c, if unicode::is_single(c) { Class::Single } else { Class::Word })
                }
            });
        }
    }

    fn take_waiting(&mut self) -> Option<Unit> {
        let [first, second, third] = self.waiting;
        if first.is_some() {
            self.waiting = [second, third, None];
        }
        first
    }

    fn first_of(&mut self, parts: [Option<char>; 3], start: u32, end: u32) -> Option<Unit> {
        let [first, second, third] =
            parts.map(|part| part.map(|c| Unit { c, class: Class::Word, start, end }));
        self.waiting = [second, third, None];
        first
    }
}
