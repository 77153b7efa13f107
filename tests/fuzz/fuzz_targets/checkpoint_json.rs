//! Parses arbitrary texts as `tokenizer.json` and `config.json`, separated by a zero byte. Each
//! must be accepted, or refused with an error of one line. A vocabulary that is accepted must be
//! packable.
#![no_main]

use std::path::{Path, PathBuf};

use electra_formats::json::Document;
use electra_formats::tokenizer::{BERT, parse_json};
use electra_pack::hugging_face::config;
use electra_pack::vocabulary::build_section;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (tokenizer, config) = text.split_once('\0').unwrap_or((text, ""));
    match parse_json(Path::new("tokenizer.json"), tokenizer, &BERT) {
        // Tokens may be too long for the runtime, so an error is allowed here. A panic is not.
        Ok(tokens) => _ = build_section(&tokens),
        Err(error) => one_line(&error.to_string()),
    }
    let document = match Document::parse(PathBuf::from("config.json"), config) {
        Ok(document) => document,
        Err(error) => return one_line(&error.to_string()),
    };
    match config::parse(&document) {
        Ok(config) => _ = config.tensor_shapes(),
        Err(error) => one_line(&error.to_string()),
    }
});

fn one_line(message: &str) {
    assert!(!message.contains(['\n', '\u{1b}']) && message.len() < 2000, "{message:?}");
}
