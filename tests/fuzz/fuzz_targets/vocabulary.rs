//! Opens arbitrary bytes as a vocabulary section and tokenizes a text with it. The input is the
//! length of the section as u16, the section, and the text.
#![no_main]

use electra_core::tokenizer::Vocabulary;
use electra_fuzz::{aligned, check_tokens};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((len, data)) = data.split_first_chunk() else { return };
    let Some((section, text)) = data.split_at_checked(u16::from_le_bytes(*len).into()) else { return };
    let text = String::from_utf8_lossy(text);
    aligned(
        section.len(),
        |bytes| bytes.copy_from_slice(section),
        |bytes| {
            let Ok(vocabulary) = Vocabulary::from_bytes(bytes) else { return };
            for id in 0..vocabulary.len() {
                let token = vocabulary.token(id as u16);
                _ = token.map_or_else(|| panic!("token {id} is missing"), |token| vocabulary.id(token));
            }
            check_tokens(vocabulary, &text);
        },
    );
});
