//! Compares the tokenizers on every code point. The vocabulary has every character that a code
//! point may become, so that `[UNK]` hides no difference.

use std::collections::BTreeSet;

use tokenizers::normalizers::bert::BertNormalizer;
use tokenizers::{NormalizedString, Normalizer};

use crate::oracle::Both;

/// Marks that accent stripping keeps: one per existing combining class, in descending order of
/// class: 230, 226, 224, 216, 9, 7.
const KEPT_MARKS: [char; 6] = ['\u{8d4}', '\u{1d16d}', '\u{302e}', '\u{1d165}', '\u{1baa}', '\u{11446}'];
const CODE_POINTS_PER_VOCABULARY: usize = 8192;
const CODE_POINTS_PER_TEXT: usize = 32;

/// Returns a text with the code point within a word, alone, twice, after a letter that may lose its
/// accent, and before and after marks of every class. Its combining class affects the order and the
/// offsets of the marks.
fn contexts(c: char) -> String {
    let marks = String::from_iter(KEPT_MARKS);
    format!("q{c}r {c} {c}{c} É{c}x q{c}{marks} q{marks}{c} ")
}

fn normalized(text: &str) -> String {
    let mut normalized = NormalizedString::from(text);
    BertNormalizer::default().normalize(&mut normalized).expect("BERT's normaliser takes any text");
    normalized.get().to_owned()
}

#[test]
fn every_code_point_is_normalised_classified_and_ordered_alike() {
    let all: Vec<char> = (0..=0x10_FFFF).filter_map(char::from_u32).collect();
    assert_eq!(all.len(), 0x11_0000 - 0x800);
    for chunk in all.chunks(CODE_POINTS_PER_VOCABULARY) {
        let single: String =
            chunk.iter().flat_map(|&c| [c, ' ']).chain("qrÉx".chars()).chain(KEPT_MARKS).collect();
        let characters: BTreeSet<char> = normalized(&single).chars().filter(|c| !c.is_whitespace()).collect();
        let mut vocabulary = String::from("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n");
        for c in characters {
            vocabulary.extend([c, '\n', '#', '#', c, '\n']);
        }
        let both = Both::new(&vocabulary);
        for points in chunk.chunks(CODE_POINTS_PER_TEXT) {
            let text: String = points.iter().map(|&c| contexts(c)).collect();
            let (ours, theirs) = (both.ours(&text), both.theirs(&text));
            if ours == theirs {
                assert!(
                    theirs.iter().all(|piece| piece.0 != 1),
                    "[UNK] hides a character near {:?}",
                    points[0]
                );
                continue;
            }
            for &c in points {
                let text = contexts(c);
                assert_eq!(both.ours(&text), both.theirs(&text), "U+{:04X} in {text:?}", u32::from(c));
            }
            panic!("code points near {:?} differ together but not alone", points[0]);
        }
    }
}
