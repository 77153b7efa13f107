//! Tokenizes arbitrary texts with a small vocabulary.
#![no_main]

use electra_core::tokenizer::Vocabulary;
use electra_fuzz::{aligned, check_tokens};
use libfuzzer_sys::fuzz_target;

const SECTION: &[u8] = include_bytes!("../seeds/section.bin");

fuzz_target!(|text: &str| {
    aligned(
        SECTION.len(),
        |bytes| bytes.copy_from_slice(SECTION),
        |bytes| match Vocabulary::from_bytes(bytes) {
            Ok(vocabulary) => check_tokens(vocabulary, text),
            Err(error) => panic!("{error}"),
        },
    );
});
