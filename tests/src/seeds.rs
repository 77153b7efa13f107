//! Seeds of the fuzz targets.

use std::fs;
use std::path::Path;

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

/// Files of texts, each with the byte that selects its format.
const FILES: [(u8, &str); 8] = [
    (0, "\u{feff}good\r\n\nbad"),
    (1, "t,l\r\n\"two\r\nlines, \"\"quoted\"\"\",1\r\n\r\nb,0"),
    (1, "l,t\n1,\"never closed\n0,\"behind\" it\n1,c\n"),
    (9, "t;l\na;1\n"),
    (2, "t\tl\n\"a\t1\n"),
    (3, "{\"t\": \"a\", \"l\": \"b\"}\n\n{\"t\": NaN, \"l\": -Infinity}\n"),
    (7, "{\"t\": \"\\ud83d\\ude00\", \"l\": 1}\n{\"t\": \"\\ud83d\", \"l\": true}"),
    (3, "[1]\nnull\n{\"t\""),
];

/// Fixtures, each with the name of its file that contains the vocabulary.
const DOCUMENTS: [(&str, &str); 2] = [("detector", "tokenizer.json"), ("classifier-f16", "tokenizer.json")];
const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures");

/// Returns the paths below `tests/fuzz/seeds` and the contents of the files. The last byte of a
/// model seed is not part of the model.
///
/// # Panics
/// When a model or a vocabulary cannot be packed, or a fixture cannot be read.
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
    for (index, (choice, file)) in FILES.into_iter().enumerate() {
        seeds.push((format!("rows/{index}"), [&[choice], file.as_bytes()].concat()));
    }
    for (folder, tokenizer) in DOCUMENTS {
        let read = |name: &str| fs::read(Path::new(FIXTURES).join(folder).join(name));
        let texts = read(tokenizer).and_then(|text| Ok([text, vec![0], read("config.json")?].concat()));
        seeds.push((format!("checkpoint_json/{folder}"), texts.unwrap_or_else(|error| panic!("{error}"))));
    }
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
