//! Token ids of a text.

use core::ffi::c_char;

use crate::engine::{electra_core_engine, tokenizer};
use crate::error::{Failure, electra_core_error, electra_core_status, reported};
use crate::pointers::{text as read_text, values_mut, write};

/// The bytes of a text from which a token comes.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct electra_core_span {
    /// The first byte.
    pub start: u32,
    /// The byte after the last one.
    pub end: u32,
}

/// Writes the token ids of a text of `length` bytes in UTF-8, with the two special tokens, to
/// `ids`. If the text has more tokens than `capacity`, the first ones are kept and `*truncated` is
/// true. `truncated` may be NULL. `capacity` is usually the `max_tokens` of the engine.
///
/// # Safety
/// `engine` is NULL or an engine. `text` is NULL or has `length` bytes. `ids` is NULL or has room
/// for `capacity` ids. `count`, `truncated` and `error` are NULL or valid for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn electra_core_tokenize(
    engine: *const electra_core_engine,
    text: *const c_char,
    length: usize,
    ids: *mut u16,
    capacity: usize,
    count: *mut usize,
    truncated: *mut bool,
    error: *mut electra_core_error,
) -> electra_core_status {
    let task = || {
        // SAFETY: the caller guarantees all pointers.
        unsafe {
            let ids = values_mut("ids", ids, capacity)?;
            let tokenizer = tokenizer(engine)?;
            let encoding = tokenizer.encode(read_text(text, length)?, ids).map_err(Failure::TooLong)?;
            if !truncated.is_null() {
                truncated.write(encoding.truncated);
            }
            write("count", count, encoding.len)
        }
    };
    // SAFETY: the caller guarantees it.
    unsafe { reported(error, task) }
}

/// Writes the places of the tokens of a text to `spans`: that of id 1 first, because id 0 is a
/// special token. If the text has more than `capacity` tokens, only the first ones are written.
///
/// # Safety
/// `engine` is NULL or an engine. `text` is NULL or has `length` bytes. `spans` is NULL or has room
/// for `capacity` spans. `count` and `error` are NULL or valid for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn electra_core_token_spans(
    engine: *const electra_core_engine,
    text: *const c_char,
    length: usize,
    spans: *mut electra_core_span,
    capacity: usize,
    count: *mut usize,
    error: *mut electra_core_error,
) -> electra_core_status {
    let task = || {
        // SAFETY: the caller guarantees all pointers.
        unsafe {
            let spans = values_mut("spans", spans, capacity)?;
            let pieces = tokenizer(engine)?.pieces(read_text(text, length)?).map_err(Failure::TooLong)?;
            let mut written = 0;
            for (span, piece) in spans.iter_mut().zip(pieces) {
                *span = electra_core_span { start: piece.start, end: piece.end };
                written += 1;
            }
            write("count", count, written)
        }
    };
    // SAFETY: the caller guarantees it.
    unsafe { reported(error, task) }
}
