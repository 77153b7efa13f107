//! The part of the example that needs no board: marks words by the logits of their tokens.
#![no_std]
#![forbid(unsafe_code)]

use core::fmt;

use electra_core::tokenizer::Token;
use electra_core::verdict;

/// Largest number of words whose marks are kept: the most that a line of
/// [`session::line::MAX_LINE_BYTES`] bytes can contain.
const MAX_WORDS: usize = session::line::MAX_LINE_BYTES / 2;

/// A text whose suspicious words are shown in brackets. A word is suspicious if one of its tokens
/// was more probably replaced than not, by the rule of the host's library. A word ends at white
/// space. Words without a judged token are shown unchanged.
pub struct Marked<'t> {
    text: &'t str,
    /// One bit per word.
    marks: [u32; MAX_WORDS / 32],
}

impl<'t> Marked<'t> {
    /// Marks the words of `text`. `judged` yields tokens of `text` in order, with their logits.
    pub fn new(text: &'t str, judged: impl Iterator<Item = (Token, f32)>) -> Self {
        let mut marked = Self { text, marks: [0; MAX_WORDS / 32] };
        let mut judged = judged.peekable();
        for (index, word) in words(text).enumerate().take(MAX_WORDS) {
            while let Some((_, logit)) = judged.next_if(|(token, _)| (token.start as usize) < word.end) {
                if verdict::is_replaced(logit) {
                    marked.marks[index / 32] |= 1 << (index % 32);
                }
            }
        }
        marked
    }

    /// Returns the number of suspicious words.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.marks.iter().map(|marks| marks.count_ones()).sum()
    }
}

impl fmt::Display for Marked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Word { text, space, .. }) in words(self.text).enumerate() {
            let marked = self.marks.get(index / 32).is_some_and(|marks| marks >> (index % 32) & 1 == 1);
            let [before, after] = if marked { ["[", "]"] } else { ["", ""] };
            for part in [before, text, after, space] {
                f.write_str(part)?;
            }
        }
        Ok(())
    }
}

/// A word, which may be empty, and the white space after it.
struct Word<'t> {
    text: &'t str,
    space: &'t str,
    /// Byte at which the word ends in the text.
    end: usize,
}

fn words(text: &str) -> impl Iterator<Item = Word<'_>> {
    let mut rest = text;
    core::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (word, behind) = split(rest, char::is_whitespace);
        let end = text.len() - behind.len();
        let space;
        (space, rest) = split(behind, |character| !character.is_whitespace());
        Some(Word { text: word, space, end })
    })
}

/// Splits the text at the first character for which `ends` is true.
fn split(text: &str, ends: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(ends).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::{String, ToString};

    use super::*;

    /// Returns the marked text and the number of its suspicious words. `judged` has the byte range
    /// and the logit of each token.
    fn marked(text: &str, judged: &[(u32, u32, f32)]) -> (String, u32) {
        let judged = judged.iter().map(|&(start, end, logit)| (Token { id: 0, start, end }, logit));
        let marked = Marked::new(text, judged);
        (marked.to_string(), marked.count())
    }

    #[test]
    fn a_word_is_marked_once_by_any_of_its_tokens() {
        let judged = [(0, 3, -1.0), (4, 7, -2.0), (7, 10, 0.5), (10, 11, 3.0), (12, 14, 0.0)];
        assert_eq!(marked("the cooking. ok", &judged), ("the [cooking.] ok".to_string(), 1));
    }

    #[test]
    fn white_space_stays_as_it_was() {
        assert_eq!(
            marked("  a \u{3000} b\t", &[(2, 3, 1.0), (8, 9, 1.0)]),
            ("  [a] \u{3000} [b]\t".to_string(), 2)
        );
        assert_eq!(marked("", &[]), (String::new(), 0));
    }

    #[test]
    fn the_longest_line_of_the_shortest_words_keeps_all_marks() {
        let text = "a ".repeat(MAX_WORDS);
        let all: std::vec::Vec<_> = (0..MAX_WORDS as u32).map(|word| (2 * word, 2 * word + 1, 1.0)).collect();
        assert_eq!(marked(&text, &all), ("[a] ".repeat(MAX_WORDS), 256));
    }

    #[test]
    fn words_that_were_not_judged_are_not_marked() {
        assert_eq!(marked("one two three", &[(0, 3, 1.0)]), ("[one] two three".to_string(), 1));
    }
}
