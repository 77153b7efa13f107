//! Derives the effect of BERT's uncased normalisation and pre-tokenisation on one code point.

use unicode_categories::UnicodeCategories;
use unicode_normalization_alignments::char::{canonical_combining_class, decompose_canonical};

/// Effect of normalisation and pre-tokenisation on a code point of the raw text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Unchanged, part of a word.
    Word,
    /// Separates words.
    Space,
    /// Removed before decomposition. Its neighbours become adjacent.
    Removed,
    /// Stripped after decomposition. It has combining class 0, so marks are not reordered across
    /// it.
    StrippedStarter,
    /// Stripped after decomposition. It takes part in the reordering of marks with the combining
    /// class of its first part.
    StrippedMark(u8),
    /// A combining mark that is not stripped. Its combining class is not 0.
    KeptMark(u8),
    /// Unchanged, a word of its own.
    Single,
    /// A word of its own, replaced by another code point.
    Isolated(char),
    /// A precomposed Hangul syllable.
    Hangul,
    /// Replaced by one code point.
    Mapped(char),
    /// Replaced by two or three code points.
    Expanded(Vec<char>),
    /// Replaced by a starter and marks that are not stripped, each with its combining class.
    Marked(char, Vec<(char, u8)>),
}

/// Computes the fate of one code point. It follows
/// `BertNormalizer { clean_text, handle_chinese_chars, strip_accents, lowercase }` and
/// `BertPreTokenizer` of the `tokenizers` crate.
///
/// # Panics
///
/// Panics if the Unicode data break an assumption of the normaliser in electra-core.
pub fn fate(c: char) -> Fate {
    if is_removed(c) {
        return Fate::Removed;
    }
    if c.is_whitespace() {
        return Fate::Space;
    }
    let mut parts = Vec::new();
    decompose_canonical(c, |part| parts.push((part, canonical_combining_class(part))));
    let starters = parts.iter().take_while(|part| part.1 == 0).count();
    let (starters, marks) = parts.split_at(starters);
    assert!(marks.iter().all(|part| part.1 != 0), "{c:?} decomposes to a starter after a combining mark");
    let kept: Vec<(char, u8)> = marks.iter().copied().filter(|part| !part.0.is_mark_nonspacing()).collect();
    let lowered: Vec<char> = starters
        .iter()
        .filter(|part| !part.0.is_mark_nonspacing())
        .flat_map(|part| part.0.to_lowercase())
        .collect();
    assert!(lowered.iter().all(|&part| !part.is_whitespace()), "{c:?} becomes white space after cleaning");
    for &(mark, _) in &kept {
        assert!(
            mark.to_lowercase().eq([mark]) && !is_punctuation(mark) && !mark.is_whitespace(),
            "the kept mark {mark:?} is not a lower-case word character"
        );
    }

    if is_isolated(c) {
        assert!(marks.is_empty() && lowered.len() == 1, "{c:?} is isolated but not one character");
        return Fate::Isolated(lowered[0]);
    }
    if !kept.is_empty() {
        return if starters.is_empty() {
            assert!(parts.len() == 1 && kept[0].0 == c, "{c:?} decomposes to a kept mark alone");
            Fate::KeptMark(kept[0].1)
        } else {
            assert!(lowered.len() == 1 && kept.len() == marks.len(), "{c:?} mixes kept and stripped marks");
            Fate::Marked(lowered[0], kept)
        };
    }
    if starters.is_empty() {
        return Fate::StrippedMark(marks[0].1);
    }
    match lowered[..] {
        [] => Fate::StrippedStarter,
        [same] if same == c => {
            if is_punctuation(c) {
                Fate::Single
            } else {
                Fate::Word
            }
        }
        _ if ('\u{AC00}'..='\u{D7A3}').contains(&c) => Fate::Hangul,
        [other] => Fate::Mapped(other),
        _ => Fate::Expanded(lowered),
    }
}

fn is_removed(c: char) -> bool {
    !matches!(c, '\t' | '\n' | '\r') && (matches!(c, '\0' | '\u{FFFD}') || c.is_other())
}

fn is_punctuation(c: char) -> bool {
    c.is_ascii_punctuation() || c.is_punctuation()
}

// The ranges are those of `tokenizers`, which omits U+2B820..=U+2B91F.
fn is_isolated(c: char) -> bool {
    matches!(
        u32::from(c),
        0x3400..=0x4DBF
            | 0x4E00..=0x9FFF
            | 0xF900..=0xFAFF
            | 0x2_0000..=0x2_A6DF
            | 0x2_A700..=0x2_B73F
            | 0x2_B740..=0x2_B81F
            | 0x2_B920..=0x2_CEAF
            | 0x2_F800..=0x2_FA1F
    )
}
