//! Canonical reordering of the combining marks that accent stripping keeps.
//!
//! Decomposition sorts each run of combining marks by combining class (The Unicode Standard,
//! section 3.11). Stripping then drops the marks of category Mn. The remaining marks need sorting
//! only in two cases: where a mark of another category occurs, or a mark of a version of Unicode
//! newer than that of the tables. A run has no maximum length, so it does not fit a buffer. Instead
//! it is read twice for each class that kept marks have. There are six such classes, so the time is
//! linear in the run's length.
//!
//! In the `tokenizers` crate, the first part of each decomposed character has the offsets of the
//! character whose place it takes, counted before sorting. Every other part has the offsets of the
//! part sorted before it. Offsets therefore depend on the number of stripped marks that are sorted
//! before a kept one.

use super::normalizer::{Class, Unit};
use super::tables::{KEPT_MARK, MARKED, REMOVED, STRIPPED_MARK};
use super::unicode;

/// The kept marks of one run, in canonical order.
#[derive(Clone, Debug)]
pub(super) struct Marks {
    /// Start and end of the run in bytes. The run includes the precomposed character before it
    /// whose marks belong to it, where there is one.
    start: u32,
    end: u32,
    /// Class of the marks that are being returned; 0 when none are left.
    class: u8,
    /// Byte where the search for the next mark of that class goes on.
    position: u32,
    /// Index of the next mark of a precomposed character, while `position` is at one.
    part: usize,
    places: Places,
}

/// Steps through the characters of a run whose place a sorted mark can take.
#[derive(Clone, Debug)]
struct Places {
    /// Number of places passed.
    count: u32,
    /// Start and end in bytes of the last place passed, or of the character before the run.
    start: u32,
    end: u32,
    /// Byte where the search for the next place goes on.
    position: u32,
}

impl Marks {
    /// Finds the run that starts at `start`, or after the precomposed character there, where there
    /// is one.
    pub(super) fn new(text: &str, start: u32) -> Self {
        let mut end = start;
        while let Some((c, next)) = read(text, end) {
            match unicode::code(c) {
                REMOVED | STRIPPED_MARK | KEPT_MARK => {}
                MARKED if end == start => {}
                _ => break,
            }
            end = next;
        }
        let head = read(text, start).filter(|&(c, _)| unicode::code(c) == MARKED);
        let first = head.map_or(start, |(_, next)| next);
        let places = Places { count: 0, start, end: first, position: first };
        let mut marks = Self { start, end, class: 0, position: start, part: 0, places };
        marks.enter_next_class(text);
        marks
    }

    /// Returns the byte after the run.
    pub(super) fn end(&self) -> usize {
        self.end as usize
    }

    pub(super) fn next(&mut self, text: &str) -> Option<Unit> {
        while self.class != 0 {
            while self.position < self.end {
                if let Some(mark) = self.step(text) {
                    return Some(Unit {
                        c: mark,
                        class: Class::Word,
                        start: self.places.start,
                        end: self.places.end,
                    });
                }
            }
            self.enter_next_class(text);
        }
        None
    }

    /// Reads one more character, or one more mark of a precomposed character. Returns it if it is
    /// kept and of the class that is being returned.
    fn step(&mut self, text: &str) -> Option<char> {
        let Some((c, next)) = read(text, self.position) else {
            self.position = self.end;
            return None;
        };
        let code = unicode::code(c);
        if code == MARKED {
            let mark = unicode::marked(c).1.get(self.part).copied().flatten();
            self.part += 1;
            if mark.is_none() {
                self.position = next;
            }
            return mark.filter(|&mark| unicode::mark_class(mark) == self.class);
        }
        self.position = next;
        if code == REMOVED || unicode::mark_class(c) != self.class {
            return None;
        }
        self.places.pass(text);
        (code == KEPT_MARK).then_some(c)
    }

    /// Goes to the lowest class of a kept mark above the present one, and passes the places that
    /// marks of lower classes take.
    fn enter_next_class(&mut self, text: &str) {
        let mut class = u8::MAX;
        let mut consider = |candidate: u8| {
            if candidate > self.class && candidate < class {
                class = candidate;
            }
        };
        let mut position = self.start;
        while let Some((c, next)) = read(text, position).filter(|_| position < self.end) {
            match unicode::code(c) {
                KEPT_MARK => consider(unicode::mark_class(c)),
                MARKED => unicode::marked(c)
                    .1
                    .into_iter()
                    .flatten()
                    .for_each(|mark| consider(unicode::mark_class(mark))),
                _ => {}
            }
            position = next;
        }
        if class == u8::MAX {
            self.class = 0;
            return;
        }
        let mut lower = 0;
        let mut position = self.start;
        while let Some((c, next)) = read(text, position).filter(|_| position < self.end) {
            if matches!(unicode::code(c), KEPT_MARK | STRIPPED_MARK) && unicode::mark_class(c) < class {
                lower += 1;
            }
            position = next;
        }
        while self.places.count < lower {
            self.places.pass(text);
        }
        (self.class, self.position, self.part) = (class, self.start, 0);
    }
}

impl Places {
    fn pass(&mut self, text: &str) {
        self.count += 1;
        while let Some((c, next)) = read(text, self.position) {
            let start = self.position;
            self.position = next;
            if unicode::code(c) != REMOVED {
                (self.start, self.end) = (start, next);
                return;
            }
        }
    }
}

/// Returns the character that starts at a byte.
pub(super) fn char_at(text: &str, position: u32) -> Option<char> {
    text.get(position as usize..)?.chars().next()
}

/// Returns the character that starts at a byte, and the byte after it.
fn read(text: &str, position: u32) -> Option<(char, u32)> {
    // Texts are at most u32::MAX bytes long, and the character lies within the text.
    char_at(text, position).map(|c| (c, position + c.len_utf8() as u32))
}
