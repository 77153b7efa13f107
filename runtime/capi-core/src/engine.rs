//! The engine, in memory of the caller.

use core::ffi::c_char;
use core::ptr;

use electra_core::tokenizer::Tokenizer;
use electra_core::{Engine, HeadKind, Kernels, Model, RunError, arena_bytes};

use crate::error::{Failure, electra_core_error, electra_core_status, reported};
use crate::pointers::{check, values, values_mut, write};

/// Number of bytes of an engine. Its memory begins at a multiple of 8.
pub const ELECTRA_CORE_ENGINE_BYTES: usize = 1024;

/// The arena begins at a multiple of this number.
pub const ELECTRA_CORE_ARENA_ALIGNMENT: usize = 64;

const _: () = assert!(size_of::<electra_core_engine>() <= ELECTRA_CORE_ENGINE_BYTES);
const _: () = assert!(align_of::<electra_core_engine>() <= 8);
const _: () = assert!(electra_core::ARENA_ALIGNMENT == ELECTRA_CORE_ARENA_ALIGNMENT);

/// A model that is ready to run. One thread or interrupt may use it at a time. It must not be
/// moved. Nothing has to be freed.
// The engine borrows the model beside it. Therefore no reference to the whole structure is made,
// only to its fields.
#[derive(Debug)]
pub struct electra_core_engine {
    model: Model<'static>,
    tokenizer: Tokenizer<'static>,
    engine: Engine<'static, 'static>,
}

/// Computes the size of the arena in bytes for sequences of up to `max_tokens` tokens, which are at
/// most the positions of the model. Checks the whole model, so call it once, or note the result
/// when the program is built: `electra footprint` prints the same number.
///
/// # Safety
/// `model` is NULL or points to `model_bytes` bytes. `size` is NULL or valid for writing. `error`
/// is NULL or valid for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn electra_core_arena_bytes(
    model: *const u8,
    model_bytes: usize,
    max_tokens: usize,
    size: *mut usize,
    error: *mut electra_core_error,
) -> electra_core_status {
    let task = || {
        // SAFETY: the caller guarantees it.
        let model = Model::open(unsafe { values("model", model, model_bytes) }?).map_err(Failure::Model)?;
        let max = model.config().max_position_embeddings;
        if max_tokens == 0 || max_tokens > max {
            return Err(Failure::Run(RunError::Length { tokens: max_tokens, max }));
        }
        // SAFETY: the caller guarantees it.
        unsafe { write("size", size, arena_bytes(model.config(), max_tokens)) }
    };
    // SAFETY: the caller guarantees it.
    unsafe { reported(error, task) }
}

/// Makes an engine in `memory`. Checks the whole model.
///
/// `model` begins with a model file, at a multiple of 4, for example in flash; bytes after the file
/// are ignored. `arena` begins at a multiple of ELECTRA_CORE_ARENA_ALIGNMENT and has at least the
/// size that electra_core_arena_bytes() computes. A longest sequence of `max_tokens` tokens
/// includes the two special tokens. On success `*engine` is the engine, at the address of `memory`.
///
/// # Safety
/// `memory` is NULL or has `memory_bytes` bytes, `arena` is NULL or has `arena_size` bytes, and
/// both are used for nothing else as long as the engine is used. `model` is NULL or has
/// `model_bytes` bytes that do not change as long as the engine is used. `engine` and `error` are
/// NULL or valid for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn electra_core_engine_init(
    memory: *mut u8,
    memory_bytes: usize,
    model: *const u8,
    model_bytes: usize,
    arena: *mut u8,
    arena_size: usize,
    max_tokens: usize,
    engine: *mut *mut electra_core_engine,
    error: *mut electra_core_error,
) -> electra_core_status {
    let task = || {
        let place = memory.cast::<electra_core_engine>();
        check("memory", place)?;
        check("engine", engine)?;
        if memory_bytes < size_of::<electra_core_engine>() {
            return Err(Failure::EngineMemory { given: memory_bytes, needed: ELECTRA_CORE_ENGINE_BYTES });
        }
        // SAFETY: the caller guarantees that the bytes stay and do not change.
        let bytes: &'static [u8] = unsafe { values("model", model, model_bytes) }?;
        let opened = Model::open(bytes).map_err(Failure::Model)?;
        // SAFETY: the caller guarantees that nobody else uses the arena.
        let arena: &'static mut [u8] = unsafe { values_mut("arena", arena, arena_size) }?;
        // SAFETY: the memory is aligned, large enough, and used for nothing else. The model is
        // written before a reference to it is made, and nobody writes to it afterwards.
        unsafe {
            (&raw mut (*place).tokenizer).write(Tokenizer::new(*opened.vocabulary()));
            (&raw mut (*place).model).write(opened);
            let model: &'static Model<'static> = &(*place).model;
            let made = Engine::new(model, Kernels::detect(), arena, max_tokens).map_err(Failure::Run)?;
            (&raw mut (*place).engine).write(made);
            write("engine", engine, place)
        }
    };
    // SAFETY: the caller guarantees it.
    unsafe { reported(error, task) }
}

/// Runs one sequence of token ids as electra_core_tokenize() writes them. On success `*logits`
/// points to `*logit_count` numbers: one per label, or one per token for a detector of replaced
/// words. They lie in the arena and are valid until the next run.
///
/// # Safety
/// `engine` is NULL or an engine. `ids` is NULL or has `count` ids. `logits`, `logit_count` and
/// `error` are NULL or valid for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn electra_core_run(
    engine: *mut electra_core_engine,
    ids: *const u16,
    count: usize,
    logits: *mut *const f32,
    logit_count: *mut usize,
    error: *mut electra_core_error,
) -> electra_core_status {
    let task = || {
        check("engine", engine)?;
        // SAFETY: the caller guarantees it.
        let ids = unsafe { values("ids", ids, count) }?;
        // SAFETY: the engine was made by electra_core_engine_init. The reference is to its field
        // `engine` alone, and the caller guarantees that nobody else uses it.
        let engine = unsafe { &mut (*engine).engine };
        let found = engine.run(ids).map_err(Failure::Run)?;
        // SAFETY: the caller guarantees both pointers.
        unsafe {
            write("logits", logits, found.as_ptr())?;
            write("logit_count", logit_count, found.len())
        }
    };
    // SAFETY: the caller guarantees it.
    unsafe { reported(error, task) }
}

/// Returns a label of the model, in UTF-8 and without a NUL at its end, and writes its length in
/// bytes to `*length`. Returns NULL if there is no label of this index.
///
/// # Safety
/// `engine` is NULL or an engine. `length` is NULL or valid for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn electra_core_label(
    engine: *const electra_core_engine,
    index: usize,
    length: *mut usize,
) -> *const c_char {
    // SAFETY: the caller guarantees it.
    let label = unsafe { model(engine) }.and_then(|model| model.labels().nth(index));
    // SAFETY: the caller guarantees it.
    unsafe { give(label, length) }
}

/// Writes the threshold of a label in the model file to `*threshold`: a number from 0 to 1, and 0
/// if the file has none. If the score of the likeliest label is lower than its threshold, the
/// answer is `UNSURE`. Read the thresholds once, before the first run.
///
/// # Safety
/// `engine` is NULL or an engine. `threshold` and `error` are NULL or valid for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn electra_core_threshold(
    engine: *const electra_core_engine,
    index: usize,
    threshold: *mut f32,
    error: *mut electra_core_error,
) -> electra_core_status {
    let task = || {
        // SAFETY: the caller guarantees it.
        let model = unsafe { model(engine) }.ok_or(Failure::Null("engine"))?;
        let label = model
            .labels()
            .nth(index)
            .ok_or_else(|| Failure::NoLabel { index, count: model.labels().count() })?;
        let found = model.threshold(label).map_err(Failure::Model)?;
        // SAFETY: the caller guarantees it.
        unsafe { write("threshold", threshold, found) }
    };
    // SAFETY: the caller guarantees it.
    unsafe { reported(error, task) }
}

/// Returns the number of labels; 0 for a detector of replaced words.
///
/// # Safety
/// `engine` is NULL or an engine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn electra_core_label_count(engine: *const electra_core_engine) -> usize {
    // SAFETY: the caller guarantees it.
    unsafe { model(engine) }.map_or(0, |model| match model.config().head {
        HeadKind::Classification => model.labels().count(),
        HeadKind::ReplacedTokenDetection => 0,
    })
}

/// Returns a number that tells models apart: the checksum in the header of the model file.
///
/// # Safety
/// `engine` is NULL or an engine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn electra_core_fingerprint(engine: *const electra_core_engine) -> u32 {
    // SAFETY: the caller guarantees it.
    unsafe { model(engine) }.map_or(0, Model::fingerprint)
}

/// Returns the name of the kernels for the processor that the library was built for, without a NUL
/// at its end, and writes its length in bytes to `*length`.
///
/// # Safety
/// `length` is NULL or valid for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn electra_core_kernels(length: *mut usize) -> *const c_char {
    // SAFETY: the caller guarantees it.
    unsafe { give(Some(Kernels::detect().name()), length) }
}

/// Returns the model of an engine.
///
/// # Safety
/// `engine` is null or an engine.
unsafe fn model<'a>(engine: *const electra_core_engine) -> Option<&'a Model<'static>> {
    // SAFETY: the engine was made by electra_core_engine_init, and its field `model` never changes.
    (!engine.is_null()).then(|| unsafe { &(*engine).model })
}

/// Returns the tokenizer of an engine.
///
/// # Safety
/// `engine` is null or an engine.
pub(crate) unsafe fn tokenizer<'a>(
    engine: *const electra_core_engine,
) -> Result<&'a Tokenizer<'static>, Failure> {
    check("engine", engine)?;
    // SAFETY: as in `model`.
    Ok(unsafe { &(*engine).tokenizer })
}

/// Returns the address of a text, or null, and writes its length.
///
/// # Safety
/// `length` is null or valid for writing.
unsafe fn give(text: Option<&str>, length: *mut usize) -> *const c_char {
    if !length.is_null() {
        // SAFETY: the pointer is not null, and the caller guarantees that it is valid for writing.
        unsafe { length.write(text.map_or(0, str::len)) };
    }
    text.map_or(ptr::null(), |text| text.as_ptr().cast())
}
