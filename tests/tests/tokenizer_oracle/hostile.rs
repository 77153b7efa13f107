//! Tests damaged vocabulary sections of the full size.

use electra_core::tokenizer::{Tokenizer, Vocabulary};
use proptest::prelude::*;

use crate::oracle::Both;

const TEXT: &str = "The [MASK] unaffable ELECTRA — naïveté 中文 각 \u{1d15f}\u{1baa} electroencephalography!";

/// Opens a section and, if it is accepted, uses all of it. Returns whether it is accepted.
fn exercise(section: &[u8]) -> bool {
    let Ok(vocabulary) = Vocabulary::from_bytes(section) else { return false };
    for piece in Tokenizer::new(vocabulary).pieces(TEXT).unwrap() {
        assert!(
            vocabulary.token(piece.id).is_some()
                && piece.start < piece.end
                && piece.end as usize <= TEXT.len()
        );
    }
    for id in 0..=u16::MAX {
        assert_eq!(vocabulary.token(id).is_some(), usize::from(id) < vocabulary.len());
    }
    assert!(vocabulary.id("electro").is_none_or(|id| usize::from(id) < vocabulary.len()));
    true
}

#[test]
fn the_section_of_berts_vocabulary_is_small_and_opens_fast() {
    let section = Both::bert().section;
    assert!(section.bytes().len() <= 400_000, "{} bytes", section.bytes().len());
    let times = (0..20).map(|_| {
        let start = std::time::Instant::now();
        Vocabulary::from_bytes(section.bytes()).unwrap();
        start.elapsed()
    });
    let fastest = times.min().unwrap();
    println!("{} bytes, opened in {fastest:?}", section.bytes().len());
    assert!(fastest < std::time::Duration::from_millis(1), "{fastest:?}");
}

#[test]
fn a_section_cut_anywhere_is_refused() {
    let section = Both::bert().section;
    for length in 0..section.bytes().len() {
        assert!(!exercise(&section.bytes()[..length]), "{length} bytes");
    }
}

#[test]
fn every_byte_of_the_header_and_the_starts_of_blocks_may_be_wrong() {
    let mut section = Both::bert().section;
    for at in 0..24 + 4 * 120 + 64 {
        let was = section.bytes()[at];
        for value in [0, 1, was ^ 1, was ^ 0x80, was.wrapping_add(1), 0xFF] {
            section.bytes_mut()[at] = value;
            exercise(section.bytes());
        }
        section.bytes_mut()[at] = was;
    }
    assert!(exercise(section.bytes()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_may_be_wrong(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..24),
    ) {
        let mut section = Both::bert().section;
        for (at, value) in changes {
            let at = at.index(section.bytes().len());
            section.bytes_mut()[at] = value;
            exercise(section.bytes());
        }
    }

    #[test]
    fn noise_is_refused_or_harmless(noise in proptest::collection::vec(any::<u8>(), 0..600)) {
        exercise(crate::oracle::Section::new(&noise).bytes());
    }
}
