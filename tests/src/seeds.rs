//! Where fuzzing starts from.

use electra_pack::checkpoint::SPECIAL_TOKENS;

use crate::{Sizes, pack};

const TEXTS: [&str; 6] = [
    "the good, bad films are [MASK] not easily seen!",
    "naïve Élan e\u{301}te\u{301} o\u{308} a\u{327}\u{301}",
    "字漢 \u{1F642} \u{AC00}\u{1100}\u{1161} ﬁ ß İ ς",
    "[CLS][SEP] [PAD][UNK [MASK]] ##the",
    "\u{0}\u{200b}\u{fffd}\t\n\u{3000}x\u{ad}y",
    "unaffable a.b.c 12,345 thethethegoodbad",
];

/// Paths below `tests/fuzz/seeds` and what the files there hold; the models' last byte is none of theirs.
///
/// # Panics
/// When a model or a vocabulary cannot be packed, which no input causes.
#[must_use]
pub fn fuzz_seeds() -> Vec<(String, Vec<u8>)> {
    let vocabulary = vocabulary();
    let build = electra_pack::vocabulary::build_section;
    let section = build(&vocabulary).unwrap_or_else(|error| panic!("{error}"));
    let smallest: Vec<String> =
        SPECIAL_TOKENS.iter().copied().chain(["a", "##b"]).map(str::to_owned).collect();
    let smallest_section = build(&smallest).unwrap_or_else(|error| panic!("{error}"));
    let sizes = Sizes {
        vocab: 8,
        embedding: 16,
        hidden: 16,
        layers: 1,
        heads: 1,
        intermediate: 16,
        positions: 20,
        labels: Some(2),
    };
    let mut seeds = Vec::new();
    let shapes = [
        ("classifier", sizes),
        ("rtd", Sizes { labels: None, ..sizes }),
        ("projection", Sizes { hidden: 32, heads: 2, layers: 2, ..sizes }),
    ];
    for (name, sizes) in shapes {
        let mut bytes = pack(&sizes.with_vocabulary(71, smallest.clone()));
        bytes.push(18);
        seeds.push((format!("model_file/{name}"), bytes));
    }
    for (index, text) in TEXTS.into_iter().enumerate() {
        seeds.push((format!("tokenizer/{index}"), text.as_bytes().to_vec()));
        let section = if index % 2 == 0 { &section } else { &smallest_section };
        // Both sections are far shorter than 64 KiB.
        let mut bytes = (section.len() as u16).to_le_bytes().to_vec();
        bytes.extend(section);
        bytes.extend(text.as_bytes());
        seeds.push((format!("vocabulary/{index}"), bytes));
    }
    seeds.push(("section.bin".to_owned(), section));
    seeds
}

fn vocabulary() -> Vec<String> {
    let mut tokens = crate::letters();
    tokens.extend(
        ["##fin", "un", "##aff", "##able", "naive", "elan", "字", "ß", "fi", "ς", "[", "]", "#"]
            .map(str::to_owned),
    );
    tokens
}
