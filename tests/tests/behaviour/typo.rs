//! Makes typing errors from a seed.

use std::ops::Range;

use electra_tests::Random;

/// Shortest word that gets a typo, in letters. In a shorter word, one letter can make a different
/// word.
const SHORTEST: usize = 5;
/// Rows of the keyboard; adjacent keys are adjacent letters.
const KEY_ROWS: [&str; 3] = ["qwertyuiop", "asdfghjkl", "zxcvbnm"];

/// Returns the words that may get a typo: runs of at least [`SHORTEST`] ASCII letters.
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

/// Returns the text with one typo in each of `count` different words, chosen from `words`.
///
/// # Panics
/// When `words` has fewer than `count` words.
pub fn with_typos(text: &str, mut words: Vec<Range<usize>>, count: usize, random: &mut Random) -> String {
    assert!(words.len() >= count, "{text:?} has too few words for {count} typos");
    let mut chosen: Vec<Range<usize>> =
        (0..count).map(|_| words.swap_remove(random.below(words.len()))).collect();
    // Words are replaced from the end, so that the other ranges stay valid.
    chosen.sort_by_key(|range| std::cmp::Reverse(range.start));
    let mut changed = text.to_owned();
    for range in chosen {
        changed.replace_range(range.clone(), &slip(&text[range], random));
    }
    changed
}

/// Returns a word of ASCII letters with one typing error after its first letter.
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

/// Returns the letter of an adjacent key, or the letter itself if it is a capital.
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
