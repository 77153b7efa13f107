//! Code that the fuzz targets share. Run a target with
//! `cargo +nightly fuzz run --fuzz-dir tests/fuzz TARGET
//! tests/fuzz/corpus/TARGET tests/fuzz/seeds/TARGET`. New inputs are written to the first folder.
#![forbid(unsafe_code)]

use electra_core::tokenizer::{Tokenizer, Vocabulary};

/// Calls `work` with a block of `len` bytes that starts at a multiple of 64 and that `fill` has
/// written.
pub fn aligned<T>(len: usize, fill: impl FnOnce(&mut [u8]), work: impl FnOnce(&mut [u8]) -> T) -> T {
    let mut block = vec![0u8; len + 64];
    let address = block.as_ptr().addr();
    let start = address.next_multiple_of(64) - address;
    let aligned = &mut block[start..start + len];
    fill(aligned);
    work(aligned)
}

/// Tokenizes `text` and checks the properties that tokens have with every vocabulary: the
/// vocabulary contains the ids, the offsets are in order and on character boundaries, and the
/// iterator and `encode` return the same ids.
pub fn check_tokens(vocabulary: Vocabulary<'_>, text: &str) {
    let tokenizer = Tokenizer::new(vocabulary);
    let tokens: Vec<_> = match tokenizer.pieces(text) {
        Ok(pieces) => pieces.collect(),
        Err(error) => panic!("{error}"),
    };
    let mut before = 0;
    for token in &tokens {
        assert!(usize::from(token.id) < vocabulary.len(), "{token:?}");
        assert!(token.start >= before && token.start <= token.end, "{token:?} after {before}");
        assert!(text.get(token.start as usize..token.end as usize).is_some(), "{token:?} in {text:?}");
        before = token.start;
    }
    let special = vocabulary.special();
    for len in [0, 1, 2, 3, tokens.len(), tokens.len() + 1, tokens.len() + 2, tokens.len() + 9] {
        let mut ids = vec![u16::MAX; len];
        let Ok(encoding) = tokenizer.encode(text, &mut ids) else { panic!("too long") };
        if len < 2 {
            assert!(encoding.len == 0 && encoding.truncated && ids.iter().all(|id| *id == u16::MAX));
            continue;
        }
        let fitting = tokens.len().min(len - 2);
        assert_eq!((encoding.len, encoding.truncated), (fitting + 2, fitting < tokens.len()));
        let (encoded, rest) = ids.split_at(encoding.len);
        assert!(encoded[0] == special.cls && encoded[encoding.len - 1] == special.sep);
        assert!(encoded[1..=fitting].iter().eq(tokens[..fitting].iter().map(|token| &token.id)));
        assert!(rest.iter().all(|id| *id == u16::MAX), "written behind the end");
    }
}
