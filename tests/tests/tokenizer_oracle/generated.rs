//! Compares the tokenizers on generated texts.

use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::select;

use crate::oracle::Both;

static BOTH: LazyLock<Both> = LazyLock::new(Both::bert);

/// Returns fragments that cause special cases when they are next to each other.
fn fragment() -> impl Strategy<Value = String> {
    let special =
        select(vec!["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[CLS", "MASK]", "[", "]", "[M", "##"]);
    let words = select(vec!["the", "Unaffable", "ELECTRA", "don't", "naïve", "x", "Q", "42", "ing", "s"]);
    let hostile = select(vec![
        '\0',
        '\u{1}',
        '\t',
        '\n',
        '\r',
        ' ',
        '\u{a0}',
        '\u{ad}',
        '\u{200b}',
        '\u{200d}',
        '\u{2028}',
        '\u{3000}',
        '\u{fffd}',
        '\u{feff}',
        '\u{d7ff}',
        '\u{e000}',
        '\u{10ffff}',
        '\u{85}',
        'İ',
        'ß',
        'ſ',
        '≠',
        ';',
        '´',
        'Å',
        '—',
        '字',
        '豈',
        '\u{2b820}',
        '각',
        '가',
        '\u{1100}',
        '\u{1161}',
        '\u{11a8}',
        'が',
        '😀',
        '\u{1f3fd}',
        '\u{fe0f}',
    ]);
    let marks = select(vec![
        '\u{300}',
        '\u{301}',
        '\u{323}',
        '\u{327}',
        '\u{334}',
        '\u{344}',
        '\u{345}',
        '\u{34f}',
        '\u{8d4}',
        '\u{93c}',
        '\u{f71}',
        '\u{f73}',
        '\u{f75}',
        '\u{1baa}',
        '\u{1b44}',
        '\u{302e}',
        '\u{3099}',
        '\u{11446}',
        '\u{1134d}',
        '\u{1d15f}',
        '\u{1d160}',
        '\u{1d1c0}',
        '\u{1d165}',
        '\u{1d16d}',
        '\u{1d16e}',
        '\u{1e94a}',
        '\0',
        '\u{9cb}',
        'é',
    ]);
    prop_oneof![
        3 => words.prop_map(str::to_owned),
        2 => special.prop_map(str::to_owned),
        2 => hostile.prop_map(String::from),
        2 => proptest::collection::vec(marks, 1..12).prop_map(String::from_iter),
        1 => any::<char>().prop_map(String::from),
        1 => "[a-zA-Z]{1,12}",
        1 => (0x20u32..0x2_FA20).prop_filter_map("no surrogate", char::from_u32).prop_map(String::from),
        1 => "[!-/:-@\\[-`{-~]",
        1 => select(vec![" ", " ", "  ", "\n"]).prop_map(str::to_owned),
        1 => (select(vec!["a", "Z", "é", "\u{301}", "각", "ab\0"]), 90usize..110)
            .prop_map(|(part, count)| part.repeat(count)),
    ]
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn hostile_fragments(fragments in proptest::collection::vec(fragment(), 0..24)) {
        let text = fragments.concat();
        prop_assert_eq!(BOTH.compare(&text), Ok(()), "{:?}", text);
    }

    #[test]
    fn any_text(text in any::<String>()) {
        prop_assert_eq!(BOTH.compare(&text), Ok(()), "{:?}", text);
    }

    #[test]
    fn a_small_vocabulary_with_many_ways_to_split(
        tokens in proptest::collection::btree_set("(##)?[ab\u{e9}字]{1,5}", 1..40),
        text in "[abAB\u{e9}字e\u{301}\\[\\] ]{0,40}",
    ) {
        let tokens: Vec<String> = tokens.into_iter().collect();
        let both = Both::new(&format!("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n{}\n", tokens.join("\n")));
        prop_assert_eq!(both.compare(&text), Ok(()), "{:?}", text);
    }

    #[test]
    fn cut_sequences(fragments in proptest::collection::vec(fragment(), 0..8), length in 3usize..24) {
        let text = fragments.concat();
        let ids: Vec<u16> = BOTH.theirs(&text).iter().map(|piece| piece.0 as u16).collect();
        let kept = ids.len().min(length - 2);
        let expected: Vec<u16> = [&[101], &ids[..kept], &[102]].concat();
        let mut written = vec![0; length];
        let encoding = BOTH.section.tokenizer().encode(&text, &mut written).unwrap();
        prop_assert_eq!(&written[..encoding.len], &expected[..]);
        prop_assert_eq!(encoding.truncated, kept < ids.len());
    }
}
