//! Compares the tokenizers on texts with special cases.

use crate::oracle::Both;

fn check(texts: &[&str]) {
    let both = Both::bert();
    for text in texts {
        if let Err(difference) = both.compare(text) {
            panic!("{text:?}: {difference}");
        }
    }
}

#[test]
fn plain_texts() {
    check(&[
        "",
        " ",
        "\t\r\n",
        "ELECTRA is surprisingly fast and accurate.",
        "Don't  panic!!  (really)",
        "a.b,c;d-e_f~g^h|i",
        "3.14159 1,000,000 $5.00 50% #1 a@b.co http://x.y/z?q=1&r=2",
        "tab\tline\nreturn\rend",
        "nul\0inside \0 and\0\0 \u{1}\u{1f}\u{7f}x\u{80}y\u{9f}z",
        "trailing space ",
        "supercalifragilisticexpialidocious antidisestablishmentarianism",
        "word— dash “quoted” ‘single’ … ellipsis",
        "##ing ##s [ ] [] [[ ]]",
    ]);
}

#[test]
fn special_tokens_written_out() {
    check(&[
        "[CLS] literal [MASK] tokens [SEP] inside",
        "[PAD][UNK][CLS][SEP][MASK]",
        "[[MASK]] [MASK[MASK]] x[MASK]y",
        "[CLS [MASK ] [ MASK] [mask] [Mask] [MASK",
        "[CLS\0] [C\0LS]",
        "[MASK]\u{301} e[MASK]\u{301}\u{302e} \u{302e}[SEP]\u{302e}",
        "[[[[[CLS]]]]]",
        "[",
        "[P",
        "[PAD",
        "é[CLS]é字[SEP]字",
        "[UNK]s un[UNK]known",
        "［MASK］ [MÁSK] [MASK\u{301}]",
    ]);
}

#[test]
fn scripts_and_marks() {
    check(&[
        "Café CAFÉ cafe\u{301} CAFE\u{301}\u{301}\u{301} naïve Ångström ÅNGSTRÖM",
        "İstanbul ıstanbul ISTANBUL ßẞ ŒœÆæ ĲĳŁł ǅǆ ﬁﬂ",
        "ΑΣ Σίσυφος ΣΊΣΥΦΟΣ ᾳᾴᾼ ΐ",
        "Привет ПРИВЕТ Ёё Йй",
        "中文字符abc中 文，。「」 豈更車 \u{2f800}\u{2fa1d} \u{2b820}\u{2b91f}\u{2b920} \u{fa0e}\u{fad9}\u{faff}",
        "한국어 각 가각 \u{1100}\u{1161}\u{11a8} 갂\u{301}",
        "カタカナ ｶﾀｶﾅ がぎ か\u{3099}",
        "हिन्दी தமிழ் కన్నడ ไทย สระอำ ༀ\u{f77} ཱི\u{f73}\u{f75}\u{f71}",
        "שָׁלוֹם שּׁ עברית عَرَبِيّ العربية",
        "\u{9cb}\u{9cc} \u{b94} \u{ddd}\u{dde} \u{1b06}\u{1b44} \u{1134b}",
        "𝐁𝐨𝐥𝐝 𝔣𝔯𝔞𝔨 😀👍🏽👨‍👩‍👧 🇩🇪 ☃️",
        "zero\u{200b}width\u{200d}join\u{feff}er soft\u{ad}hyphen",
        "\u{a0}no\u{202f}break\u{3000}wide\u{2028}line\u{2029}para\u{1680}ogham\u{180e}x\u{85}y",
        "\u{fffd}replacement\u{fffd}",
        "≠ ≮ ≯ ; ` \u{2000}\u{2001} Å Ω K",
        "\u{d7ff}\u{e000}\u{f8ff}\u{f0000}\u{10fffd}\u{10fffe}\u{10ffff}\u{fdd0}",
        "\u{301}\u{302e} a\u{301}\u{302e}b \u{302e}\u{301}\u{323}",
        "x\u{1d15f}\u{1baa}\u{301} \u{1d160}\u{327}\u{1d165}\u{0}\u{1baa}\u{1d16d} \u{1d1c0}",
        "\u{344}\u{302e}\u{344}\u{8d4}\u{e000}\u{11446}\u{1baa}\u{f73}\u{1d16e}",
        "𞤀𞤢 𐐀𐐨 Ა ა Ꭰ ꭰ Ⴀ",
    ]);
}

#[test]
fn words_at_the_limits() {
    let repeated = |part: &str, count: usize| part.repeat(count);
    let mut texts = Vec::new();
    for count in [99, 100, 101, 102, 200] {
        for part in ["a", "A", "1", "é", "e\u{301}", "a\0", "ä", "𝐁", "ㅎ"] {
            texts.push(format!("x {} y", repeated(part, count)));
            texts.push(format!("{}é", repeated(part, count - 1)));
            texts.push(format!("é{}", repeated(part, count - 1)));
        }
    }
    for count in [33, 34, 50, 51] {
        texts.push(repeated("각", count));
        texts.push(repeated("가", count));
        texts.push(format!("{}가a", repeated("가", count - 1)));
    }
    texts.push(repeated("unaffable", 11));
    texts.push(repeated("unaffable", 12));
    texts.push(format!("a{}b", "\0".repeat(300)));
    texts.push(format!("a{}b", "\u{301}".repeat(3000)));
    texts.push(format!("a{}b", "\u{301}\u{302e}\u{1baa}".repeat(30)));
    check(&texts.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn equal_tokens_have_the_last_id() {
    let vocabulary = "[PAD]\n[UNK]\na\n##b\n[CLS]\n[SEP]\n[MASK]\na\n##b\n[MASK]\n\n##\n";
    let both = Both::new(vocabulary);
    for text in ["a ab abb b", "[MASK]a", "##b # a##"] {
        assert_eq!(both.ours(text), both.theirs(text), "{text}");
    }
    assert_eq!(both.ours("ab"), [(7, 0, 1), (8, 1, 2)]);
}

#[test]
fn sequences_are_cut_as_tokenizers_cuts_them() {
    let mut both = Both::bert();
    let text = "Unaffable [MASK] café — naïveté, electroencephalography 中文";
    for length in 3..40 {
        both.compare_truncated(text, length).unwrap();
    }
    both.compare_truncated("", 3).unwrap();
}

#[test]
fn long_hostile_texts_take_linear_time_and_agree_with_their_parts() {
    let both = Both::bert();
    let tokenizer = both.section.tokenizer();
    let size = 10_000_000;
    let parts = [
        "a",
        "\u{301}",
        "\0",
        "\u{302e}\u{301}",
        "\u{301}\u{302e}\u{1baa}\u{1d165}\u{11446}\u{8d4}",
        "é",
        "[",
        "[MAS",
        "x ",
        "각",
        "字",
    ];
    for part in parts {
        let time = |bytes: usize| {
            let text = part.repeat(bytes / part.len());
            let start = std::time::Instant::now();
            let count = tokenizer.pieces(&text).unwrap().count();
            (start.elapsed(), count)
        };
        let (short, _) = time(size / 8);
        let (long, _) = time(size);
        // Eight times the text takes eight times as long in linear time, and 64 times in quadratic
        // time. The limit leaves room for a busy machine.
        assert!(
            long < short * 32 + std::time::Duration::from_millis(200),
            "{part:?}: {short:?} and {long:?}"
        );
    }
    let letters = "a".repeat(size);
    assert_eq!(both.ours(&letters), [(100, 0, size)]);
    let marks = format!("a{}b", "\u{301}\0".repeat(size / 3));
    assert_eq!(both.ours(&marks).last().map(|piece| piece.2), Some(marks.len()));
}
