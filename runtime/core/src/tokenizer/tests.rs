//! Tests that need only this crate. Tests against `tokenizers` are in the package `electra-tests`.

use super::vocabulary::{EMPTY_SLOT, SPECIAL_TOKENS};
use super::{Encoding, Tokenizer, Vocabulary, VocabularyError, hash};
#[cfg(target_pointer_width = "64")]
use super::{TextTooLong, check_length};

/// A section written after the description of the format, for fewer than 256 tokens and with 64
/// slots.
struct Section {
    words: Vec<u32>,
    length: usize,
}

impl Section {
    fn of(more: &[&str]) -> Self {
        let tokens: Vec<&str> = SPECIAL_TOKENS.iter().chain(more).copied().collect();
        let mut slots = [EMPTY_SLOT; 64];
        for (id, token) in tokens.iter().enumerate() {
            let rest = token.strip_prefix("##");
            let mut slot = hash::first_slot(hash::of(rest.unwrap_or(token)), rest.is_some(), 6);
            while slots[slot] != EMPTY_SLOT {
                slot = (slot + 1) % 64;
            }
            slots[slot] = id as u16;
        }
        let text = tokens.concat();
        let mut bytes = Vec::new();
        bytes.extend((tokens.len() as u32).to_le_bytes());
        bytes.extend((text.len() as u32).to_le_bytes());
        bytes.extend([0, 1, 2, 3, 4, 6, 100, 64].into_iter().flat_map(u16::to_le_bytes));
        bytes.extend(0u32.to_le_bytes());
        for count in 0..=tokens.len() {
            bytes.extend((tokens[..count].concat().len() as u16).to_le_bytes());
        }
        bytes.extend(slots.into_iter().flat_map(u16::to_le_bytes));
        bytes.extend(text.as_bytes());
        let mut words = vec![0; bytes.len() / 4 + 1];
        bytemuck::cast_slice_mut(&mut words)[..bytes.len()].copy_from_slice(&bytes);
        Self { words, length: bytes.len() }
    }

    fn bytes(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.words)[..self.length]
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut bytemuck::cast_slice_mut(&mut self.words)[..self.length]
    }
}

fn tokens(vocabulary: &[&str], text: &str) -> Vec<(u16, u32, u32)> {
    let section = Section::of(vocabulary);
    let tokenizer = Tokenizer::new(Vocabulary::from_bytes(section.bytes()).unwrap());
    tokenizer.pieces(text).unwrap().map(|token| (token.id, token.start, token.end)).collect()
}

#[test]
fn words_split_into_longest_pieces() {
    let vocabulary = ["un", "##aff", "##able", "unaffected", "##a"];
    assert_eq!(tokens(&vocabulary, "Unaffable"), [(5, 0, 2), (6, 2, 5), (7, 5, 9)]);
    assert_eq!(tokens(&vocabulary, "unaffected una"), [(8, 0, 10), (5, 11, 13), (9, 13, 14)]);
    assert_eq!(tokens(&vocabulary, "unaffablex"), [(1, 0, 10)]);
}

#[test]
fn kept_marks_are_sorted_and_take_the_places_of_others() {
    // U+302E has class 224 and is kept; U+0301 has class 230 and is stripped. After sorting, the
    // kept mark comes first.
    assert_eq!(tokens(&["a", "##\u{302e}"], "a\u{301}\0\u{302e}"), [(5, 0, 1), (6, 1, 3)]);
    // Classes 216 (U+1D165), 9 (U+1BAA) and 7 (U+11446), in the wrong order.
    assert_eq!(tokens(&["a\u{11446}\u{1baa}\u{1d165}"], "a\u{1d165}\u{1baa}\u{11446}"), [(5, 0, 12)]);
    // U+1D15F contains a mark of class 216. A mark of class 9 is sorted before it.
    assert_eq!(
        tokens(&["\u{1d158}", "##\u{1baa}", "##\u{1d165}"], "\u{1d15f}\u{1baa}"),
        [(5, 0, 4), (6, 4, 7), (7, 4, 7)]
    );
}

#[test]
fn reading_can_stop_and_go_on() {
    let section = Section::of(&["a", "##b", "b", "é"]);
    let tokenizer = Tokenizer::new(Vocabulary::from_bytes(section.bytes()).unwrap());
    let text = "ab [MASK] b a字 e\u{301} abb ]";
    let all: Vec<_> = tokenizer.pieces(text).unwrap().collect();
    for stop in 0..=all.len() {
        let mut pieces = tokenizer.pieces(text).unwrap();
        let first: Vec<_> = pieces.by_ref().take(stop).collect();
        let rest: Vec<_> = pieces.clone().collect();
        assert_eq!([first, rest].concat(), all);
        assert!(pieces.eq(all[stop..].iter().copied()));
    }
}

#[test]
fn sequences_are_cut_to_the_slice() {
    let section = Section::of(&["a", "##b"]);
    let tokenizer = Tokenizer::new(Vocabulary::from_bytes(section.bytes()).unwrap());
    let encode = |text, capacity: usize| {
        let mut ids = vec![99; capacity];
        let encoding = tokenizer.encode(text, &mut ids).unwrap();
        (ids, encoding.len, encoding.truncated)
    };
    assert_eq!(encode("ab", 6), (vec![2, 5, 6, 3, 99, 99], 4, false));
    assert_eq!(encode("ab", 4), (vec![2, 5, 6, 3], 4, false));
    assert_eq!(encode("ab", 3), (vec![2, 5, 3], 3, true));
    assert_eq!(encode("ab", 2), (vec![2, 3], 2, true));
    assert_eq!(encode("", 2), (vec![2, 3], 2, false));
    assert_eq!(encode("ab", 1), (vec![99], 0, true));
    assert_eq!(tokenizer.encode("ab", &mut []), Ok(Encoding { len: 0, truncated: true }));
}

#[cfg(target_pointer_width = "64")]
#[test]
fn texts_longer_than_offsets_are_refused() {
    let most = u32::MAX as usize;
    assert_eq!(check_length(most), Ok(()));
    assert_eq!(check_length(most + 1), Err(TextTooLong { bytes: most + 1 }));
}

#[test]
fn a_tokenizer_fits_a_small_stack() {
    assert!(size_of::<super::Pieces<'_>>() <= 1536, "Pieces has {} bytes", size_of::<super::Pieces<'_>>());
}

#[test]
fn wrong_sections_are_refused_by_name() {
    let open = |section: &Section| Vocabulary::from_bytes(section.bytes()).map(|_| ()).unwrap_err();
    let changed = |at: usize, value: u16| {
        let mut section = Section::of(&["é", "##b"]);
        section.bytes_mut()[at..at + 2].copy_from_slice(&value.to_le_bytes());
        open(&section)
    };
    let length = Section::of(&["é", "##b"]).length;
    assert_eq!(changed(0, 0), VocabularyError::TokenCount { found: 0 });
    assert_eq!(changed(2, 1), VocabularyError::TokenCount { found: 65_543 });
    assert_eq!(changed(4, 1), VocabularyError::Length { found: length, expected: length as u64 - 30 });
    assert_eq!(changed(8, 1), VocabularyError::Special { id: 1, expected: "[PAD]" });
    assert_eq!(changed(16, 7), VocabularyError::Special { id: 7, expected: "[MASK]" });
    assert_eq!(changed(18, 18), VocabularyError::SlotBits { found: 18 });
    assert_eq!(changed(18, 0), VocabularyError::SlotBits { found: 0 });
    assert_eq!(changed(22, 0), VocabularyError::Probes { found: 0 });
    assert_eq!(changed(22, 257), VocabularyError::Probes { found: 257 });
    // The starts follow the entry of the only block. Token 5 starts at byte 26 of the text and has
    // two bytes.
    assert_eq!(changed(24, 1), VocabularyError::Start { token: 0, found: 1, before: 0 });
    assert_eq!(changed(28 + 12, 27), VocabularyError::Start { token: 6, found: 27, before: 26 });
    assert_eq!(changed(28 + 12, 25), VocabularyError::Start { token: 6, found: 25, before: 26 });
    assert_eq!(changed(28 + 14, 99), VocabularyError::Start { token: 7, found: 99, before: 28 });
    assert_eq!(changed(28 + 14, 30), VocabularyError::Start { token: 7, found: 30, before: 30 });
    assert_eq!(changed(28 + 16, 7), VocabularyError::Slot { slot: 0, tokens: 7 });

    let mut section = Section::of(&["é", "##b"]);
    section.bytes_mut()[length - 5] = 0xFF;
    assert_eq!(open(&section), VocabularyError::Text { at: 26 });

    let section = Section::of(&["é", &"x".repeat(255)]);
    assert!(Vocabulary::from_bytes(section.bytes()).is_ok());
    let section = Section::of(&["é", &"x".repeat(256)]);
    assert_eq!(open(&section), VocabularyError::Start { token: 7, found: 284, before: 28 });

    let section = Section::of(&[]);
    let mut shifted = vec![0u32; section.words.len() + 1];
    let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut shifted);
    bytes[2..2 + section.length].copy_from_slice(section.bytes());
    let opened = Vocabulary::from_bytes(&bytes[2..2 + section.length]).map(|_| ());
    assert_eq!(opened, Err(VocabularyError::Misaligned));
}

#[test]
fn cut_sections_are_refused_and_changed_ones_do_no_harm() {
    let mut section = Section::of(&["é", "##b", "a", "字"]);
    for length in 0..section.length {
        assert!(Vocabulary::from_bytes(&section.bytes()[..length]).is_err());
    }
    for at in 0..section.length {
        let was = section.bytes()[at];
        for value in 0..=u8::MAX {
            section.bytes_mut()[at] = value;
            let Ok(vocabulary) = Vocabulary::from_bytes(section.bytes()) else {
                continue;
            };
            let count =
                Tokenizer::new(vocabulary).pieces("ab [MASK] éb, abb字 \u{1d15f}\u{1baa}").unwrap().count();
            assert!(count >= 6);
            assert!(
                (0..=u16::MAX).step_by(7).filter_map(|id| vocabulary.token(id)).count() <= vocabulary.len()
            );
        }
        section.bytes_mut()[at] = was;
    }
}
