//! Slips of the keyboard, from a seed.

use std::ops::Range;

use electra_tests::Random;

/// Shorter words are left alone: one letter makes another word of them.
const SHORTEST: usize = 5;
/// Keys that lie side by side.
const KEY_ROWS: [&str; 3] = ["qwertyuiop", "asdfghjkl", "zxcvbnm"];

/// The words that a typo may befall: runs of ASCII letters.
pub fn candidates(text: &str) -> Vec<Range<usize>> {
    let mut words = Vec::new();
    let mut start = 0;
    let bytes = text.as_bytes();
    for end in 0..=bytes.len() {
        if end == bytes.len() || !bytes[end].is_ascii_alphabetic() {
            if end - start >= SHORTEST {
                words.push(start..end);
            }
            start = end + 1;
        }
    }
    words
}

/// The text with a typo in `count` different ones of `words`.
///
/// # Panics
/// When there are fewer words.
pub fn with_typos(text: &str, mut words: Vec<Range<usize>>, count: usize, random: &mut Random) -> String {
    assert!(words.len() >= count, "{text:?} has too few words for {count} typos");
    let mut chosen: Vec<Range<usize>> =
        (0..count).map(|_| words.swap_remove(random.below(words.len()))).collect();
    // From the end, so that the other ranges stay where they are.
    chosen.sort_by_key(|range| std::cmp::Reverse(range.start));
    let mut changed = text.to_owned();
    for range in chosen {
        changed.replace_range(range.clone(), &slip(&text[range], random));
    }
    changed
}

/// A word of ASCII letters with one slip after its first letter.
fn slip(word: &str, random: &mut Random) -> String {
    loop {
        let mut letters = word.as_bytes().to_vec();
        let at = 1 + random.below(letters.len() - 1);
        match random.below(4) {
            0 => letters.swap(at, at - 1),
            1 => drop(letters.remove(at)),
            2 => letters.insert(at, letters[at]),
            _ => letters[at] = neighbour(letters[at], random),
        }
        if letters != word.as_bytes() && letters[0] == word.as_bytes()[0] {
            return letters.into_iter().map(char::from).collect();
        }
    }
}

/// A key beside this one's; the letter itself if it is a capital.
fn neighbour(letter: u8, random: &mut Random) -> u8 {
    let Some((row, at)) =
        KEY_ROWS.iter().find_map(|row| row.bytes().position(|key| key == letter).map(|at| (row, at)))
    else {
        return letter;
    };
    let sides = [at.wrapping_sub(1), at + 1];
    let keys: Vec<u8> = sides.into_iter().filter_map(|side| row.as_bytes().get(side).copied()).collect();
    keys[random.below(keys.len())]
}
