//! Look-ups in the Unicode tables.

use super::tables::{
    ABSOLUTE, COMPATIBILITY_HIGH, COMPATIBILITY_LOW, EXPANSIONS, HIGH, LEAVES, MARK_CLASSES, MARKED_STARTERS,
    MIDDLE, REPLACED, REPLACEMENTS, SINGLE, TOP, WORD,
};

/// First code points of the two blocks of compatibility ideographs.
const COMPATIBILITY_BLOCKS: [u32; 2] = [0xF900, 0x2_F800];
/// Code points in the first of these blocks.
const FIRST_BLOCK_LENGTH: u32 = 0x200;

/// Returns the code of a character in normalisation: one of the constants of `tables`, or
/// [`REPLACED`] and up.
pub(super) fn code(c: char) -> u8 {
    let point = c as usize;
    match TOP.get(point >> 8) {
        Some(&row) => {
            let row = MIDDLE.get(usize::from(row) << 4 | point >> 4 & 0xF).copied().unwrap_or(0);
            LEAVES.get(usize::from(row) << 4 | point & 0xF).copied().unwrap_or(WORD)
        }
        None => {
            let point = c.into();
            HIGH.iter().find(|range| (range.0..=range.1).contains(&point)).map_or(WORD, |range| range.2)
        }
    }
}

/// Returns whether a character that normalisation does not change is a word of its own.
pub(super) fn is_single(c: char) -> bool {
    code(c) == SINGLE
}

/// Returns the character that replaces one whose code is [`REPLACED`] or above.
pub(super) fn replacement(c: char, code: u8) -> char {
    let index = usize::from(code.wrapping_sub(REPLACED));
    let value = REPLACEMENTS.get(index).copied().unwrap_or(0);
    let point = if index < ABSOLUTE { value.unsigned_abs() } else { u32::from(c).wrapping_add_signed(value) };
    char::from_u32(point).unwrap_or(c)
}

/// Returns the ideograph that replaces a compatibility ideograph.
pub(super) fn unified(c: char) -> char {
    let point = u32::from(c);
    let [first, second] = COMPATIBILITY_BLOCKS;
    let index = match point.checked_sub(second) {
        Some(index) => index + FIRST_BLOCK_LENGTH,
        None => point.wrapping_sub(first),
    } as usize;
    let (Some(&low), Some(high)) = (COMPATIBILITY_LOW.get(index), COMPATIBILITY_HIGH.get(index / 32)) else {
        return c;
    };
    let plane = (high >> (index % 32) & 1) << 17;
    char::from_u32(plane | u32::from(low)).unwrap_or(c)
}

/// Returns the two characters that replace one.
pub(super) fn expansion(c: char) -> [char; 2] {
    let found = EXPANSIONS.binary_search_by_key(&c.into(), |entry| entry.0);
    let parts = found.ok().and_then(|index| EXPANSIONS.get(index)).map(|entry| entry.1.map(char::from_u32));
    match parts {
        Some([Some(first), Some(second)]) => [first, second],
        _ => [c, c],
    }
}

/// Returns the starter and the kept marks that replace a character.
pub(super) fn marked(c: char) -> (char, [Option<char>; 2]) {
    let found = MARKED_STARTERS.binary_search_by_key(&c.into(), |entry| entry.0);
    match found.ok().and_then(|index| MARKED_STARTERS.get(index)) {
        Some(&(_, starter, marks)) => (
            char::from_u32(starter).unwrap_or(c),
            marks.map(|mark| char::from_u32(mark).filter(|&mark| mark != '\0')),
        ),
        None => (c, [None; 2]),
    }
}

/// Returns the canonical combining class of a mark (Unicode Standard Annex #44), or 0 for any other
/// character.
pub(super) fn mark_class(c: char) -> u8 {
    let point = u32::from(c);
    let after = MARK_CLASSES.partition_point(|&entry| entry >> 15 <= point);
    let Some(&entry) = after.checked_sub(1).and_then(|index| MARK_CLASSES.get(index)) else {
        return 0;
    };
    let (first, more) = (entry >> 15, entry >> 8 & 0x7F);
    // The low 8 bits are the class.
    if point - first <= more { entry as u8 } else { 0 }
}

/// Returns the conjoining letters of a Hangul syllable (The Unicode Standard, section 3.12). The
/// last may be missing.
pub(super) fn jamo(syllable: char) -> [Option<char>; 3] {
    const SYLLABLES: u32 = 0xAC00;
    const LEADING: u32 = 0x1100;
    const VOWELS: u32 = 0x1161;
    const TRAILING: u32 = 0x11A7;
    const VOWEL_COUNT: u32 = 21;
    const TRAILING_COUNT: u32 = 28;
    let index = u32::from(syllable).wrapping_sub(SYLLABLES);
    let trailing = index % TRAILING_COUNT;
    [
        char::from_u32(LEADING + index / (VOWEL_COUNT * TRAILING_COUNT)),
        char::from_u32(VOWELS + index / TRAILING_COUNT % VOWEL_COUNT),
        char::from_u32(TRAILING + trailing).filter(|_| trailing != 0),
    ]
}
