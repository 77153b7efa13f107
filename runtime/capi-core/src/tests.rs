//! The interface gives the answers of electra-core, refuses wrong arguments, and has the committed
//! header.

use std::ffi::CStr;
use std::path::{Path, PathBuf};
use std::{env, fs, ptr};

use electra_core::model::crc32;
use electra_core::model::format::{ALIGNMENT, ENTRY_LEN, FIRST_SECTION, HEADER_LEN, SectionKind, field};
use electra_core::{Engine, Kernels, Model, tokenizer::Tokenizer};

use super::*;

const PACKAGE: &str = env!("CARGO_MANIFEST_DIR");
const MAX_TOKENS: usize = 64;

#[repr(C, align(64))]
struct Memory([u8; 200_000]);
#[repr(C, align(8))]
struct EngineMemory([u8; ELECTRA_CORE_ENGINE_BYTES]);

fn model_path() -> PathBuf {
    Path::new(PACKAGE).join("../../models/electra-small-sentiment/model.electra")
}

/// Returns the bytes of the default model, aligned as in flash.
fn model_bytes() -> Vec<u32> {
    aligned(&fs::read(model_path()).expect("the model in the repository"))
}

fn aligned(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks(4).map(|word| u32::from_ne_bytes(word.try_into().expect("whole words"))).collect()
}

fn message(error: &electra_core_error) -> String {
    let bytes: Vec<u8> = error.message.iter().map(|byte| *byte as u8).collect();
    CStr::from_bytes_until_nul(&bytes).expect("a NUL").to_str().expect("UTF-8").to_owned()
}

fn no_error() -> electra_core_error {
    electra_core_error { status: electra_core_status::Ok, message: [0; ELECTRA_CORE_MESSAGE_BYTES] }
}

struct Made {
    engine: *mut electra_core_engine,
    _owned: (Vec<u32>, Box<Memory>, Box<EngineMemory>),
}

fn make(arena_size: usize) -> Result<Made, (electra_core_status, String)> {
    make_of(model_bytes(), arena_size)
}

fn make_of(model: Vec<u32>, arena_size: usize) -> Result<Made, (electra_core_status, String)> {
    let (mut arena, mut memory) =
        (Box::new(Memory([0; 200_000])), Box::new(EngineMemory([0; ELECTRA_CORE_ENGINE_BYTES])));
    let mut engine = ptr::null_mut();
    let mut error = no_error();
    let length = model.len() * 4;
    // SAFETY: all pointers are valid, and their memory lives as long as the engine.
    let status = unsafe {
        electra_core_engine_init(
            memory.0.as_mut_ptr(),
            memory.0.len(),
            model.as_ptr().cast(),
            length,
            arena.0.as_mut_ptr(),
            arena_size,
            MAX_TOKENS,
            &raw mut engine,
            &raw mut error,
        )
    };
    match status {
        electra_core_status::Ok => Ok(Made { engine, _owned: (model, arena, memory) }),
        status => Err((status, message(&error))),
    }
}

#[test]
fn the_logits_and_scores_are_those_of_electra_core() {
    let words = model_bytes();
    // SAFETY: the words are initialised, and `u8` has no invalid values.
    let bytes = unsafe { std::slice::from_raw_parts(words.as_ptr().cast::<u8>(), words.len() * 4) };
    let model = Model::open(bytes).expect("intact");
    let mut size = 0;
    // SAFETY: all pointers are valid.
    let status = unsafe {
        electra_core_arena_bytes(bytes.as_ptr(), bytes.len(), MAX_TOKENS, &raw mut size, ptr::null_mut())
    };
    assert_eq!((status, size), (electra_core_status::Ok, 161_472));
    let made = make(size).expect("made");
    let mut arena = Box::new(Memory([0; 200_000]));
    let mut oracle = Engine::new(&model, Kernels::detect(), &mut arena.0[..size], MAX_TOKENS).expect("made");
    let tokenizer = Tokenizer::new(*model.vocabulary());
    let long = "word ".repeat(100);
    for text in ["A warm, funny and quietly moving film.", "", "Ünï 😀", long.as_str()] {
        let (mut ids, mut count, mut truncated) = ([0u16; MAX_TOKENS], 0, false);
        let (mut logits, mut logit_count) = (ptr::null(), 0);
        let (mut scores, mut best) = ([0f32; 3], 9);
        // SAFETY: all pointers are valid.
        unsafe {
            let (engine, nothing) = (made.engine, ptr::null_mut());
            let (text, length) = (text.as_ptr().cast(), text.len());
            let status = electra_core_tokenize(
                engine,
                text,
                length,
                ids.as_mut_ptr(),
                MAX_TOKENS,
                &raw mut count,
                &raw mut truncated,
                nothing,
            );
            assert_eq!(status, electra_core_status::Ok);
            let status =
                electra_core_run(engine, ids.as_ptr(), count, &raw mut logits, &raw mut logit_count, nothing);
            assert_eq!((status, logit_count), (electra_core_status::Ok, 3));
            let status =
                electra_core_scores(logits, logit_count, scores.as_mut_ptr(), &raw mut best, nothing);
            assert_eq!(status, electra_core_status::Ok);
        }
        let mut expected_ids = [0; MAX_TOKENS];
        let encoding = tokenizer.encode(text, &mut expected_ids).expect("short");
        assert_eq!((count, truncated, ids), (encoding.len, encoding.truncated, expected_ids));
        let expected = oracle.run(&expected_ids[..encoding.len]).expect("a run");
        // SAFETY: the run returned this many logits, and the engine has not run since.
        let found = unsafe { std::slice::from_raw_parts(logits, logit_count) };
        let bits = |logits: &[f32]| logits.iter().map(|logit| logit.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(found), bits(expected));
        let softmax: Vec<f32> = electra_core::verdict::softmax(expected).map(|score| score as f32).collect();
        assert_eq!(scores.to_vec(), softmax);
        let largest = softmax.iter().copied().fold(0.0, f32::max);
        assert_eq!(softmax.iter().position(|score| *score == largest), Some(best));
    }
    let mut length = 0;
    // SAFETY: all pointers are valid, and the label has `length` bytes.
    unsafe {
        let label = electra_core_label(made.engine, 2, &raw mut length);
        assert_eq!(std::slice::from_raw_parts(label.cast::<u8>(), length), b"POSITIVE");
        assert!(electra_core_label(made.engine, 3, &raw mut length).is_null());
        assert_eq!(electra_core_label_count(made.engine), 3);
        assert_eq!(electra_core_fingerprint(made.engine), model.fingerprint());
    }
}

/// Returns the default model with a threshold of POSITIVE, as `electra pack` adds it.
fn model_with_threshold() -> Vec<u8> {
    let source = electra_pack::Source::new(model_path()).threshold("POSITIVE", "0.875");
    source.change_metadata().expect("changed")
}

/// Returns the threshold of a label, or status and message of the error.
fn threshold(made: &Made, index: usize) -> Result<f32, (electra_core_status, String)> {
    let (mut error, mut found) = (no_error(), 7.0);
    // SAFETY: all pointers are valid.
    match unsafe { electra_core_threshold(made.engine, index, &raw mut found, &raw mut error) } {
        electra_core_status::Ok => Ok(found),
        status => Err((status, message(&error))),
    }
}

#[test]
fn thresholds_are_those_of_the_file() {
    let made = make_of(aligned(&model_with_threshold()), 161_472).expect("made");
    let found: Vec<_> = (0..3).map(|index| threshold(&made, index)).collect();
    assert_eq!(found, [Ok(0.0), Ok(0.0), Ok(0.875)]);
    let no_label = "index: 3, expected less than 3, the number of labels".to_owned();
    assert_eq!(threshold(&made, 3), Err((electra_core_status::Argument, no_label)));
    let mut error = no_error();
    let mut call = |engine, threshold: *mut f32| {
        // SAFETY: all pointers are null or valid.
        let status = unsafe { electra_core_threshold(engine, 2, threshold, &raw mut error) };
        (status, message(&error))
    };
    let missing = |name: &str| (electra_core_status::Argument, format!("{name} is NULL"));
    assert_eq!(call(ptr::null(), &mut 0.0), missing("engine"));
    assert_eq!(call(made.engine, ptr::null_mut()), missing("threshold"));
}

#[test]
fn a_threshold_that_is_no_share_is_an_error_of_the_model() {
    let mut bytes = model_with_threshold();
    let line = b"threshold.POSITIVE=0.875";
    let at = bytes.windows(line.len()).position(|found| found == line).expect("the line");
    bytes[at + line.len() - 5] = b'7';
    // The checksums of the section and of the file are made right again.
    let entry = HEADER_LEN + (SectionKind::Metadata as usize - 1) * ENTRY_LEN;
    let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes")) as usize;
    let (start, len) = (number(entry + 8), number(entry + 16).next_multiple_of(ALIGNMENT));
    assert!(start >= FIRST_SECTION && (start..start + len).contains(&at));
    let of_section = crc32(&bytes[start..start + len]);
    bytes[entry + 24..entry + 28].copy_from_slice(&of_section.to_le_bytes());
    bytes[field::FILE_CRC..field::FILE_CRC + 4].fill(0);
    let of_file = crc32(&bytes);
    bytes[field::FILE_CRC..field::FILE_CRC + 4].copy_from_slice(&of_file.to_le_bytes());
    let made = make_of(aligned(&bytes), 161_472).expect("the engine does not read thresholds");
    let (status, message) = threshold(&made, 2).expect_err("not a share");
    assert_eq!(status, electra_core_status::Model);
    assert!(message.starts_with("model: metadata: the threshold of a label is not a number"), "{message}");
    assert_eq!(threshold(&made, 1), Ok(0.0));
}

#[test]
fn spans_are_those_of_the_tokenizer() {
    let made = make(161_472).expect("made");
    let text = "Great, wonderful!";
    let mut spans = [electra_core_span { start: 0, end: 0 }; 8];
    let mut count = 0;
    // SAFETY: all pointers are valid.
    let status = unsafe {
        electra_core_token_spans(
            made.engine,
            text.as_ptr().cast(),
            text.len(),
            spans.as_mut_ptr(),
            spans.len(),
            &raw mut count,
            ptr::null_mut(),
        )
    };
    assert_eq!((status, count), (electra_core_status::Ok, 4));
    let words: Vec<_> = spans[..4].iter().map(|span| &text[span.start as usize..span.end as usize]).collect();
    assert_eq!(words, ["Great", ",", "wonderful", "!"]);
}

#[test]
fn wrong_arguments_are_refused_with_a_message() {
    let small = make(100_000).err().expect("refused");
    assert_eq!(small.0, electra_core_status::Memory);
    assert!(small.1.contains("100000 bytes given, 161472 needed for 64 tokens"), "{}", small.1);
    let made = make(161_472).expect("made");
    let mut error = no_error();
    let (mut logits, mut count) = (ptr::null(), 0);
    // SAFETY: all pointers are null or valid.
    unsafe {
        let mut run = |engine, ids: &[u16], error: *mut electra_core_error, logits| {
            electra_core_run(engine, ids.as_ptr(), ids.len(), logits, &raw mut count, error)
        };
        let status = run(ptr::null_mut(), &[101, 102], &raw mut error, &raw mut logits);
        assert_eq!((status, message(&error).as_str()), (electra_core_status::Argument, "engine is NULL"));
        let status = run(made.engine, &[101, 102], &raw mut error, ptr::null_mut());
        assert_eq!((status, message(&error).as_str()), (electra_core_status::Argument, "logits is NULL"));
        let status = run(made.engine, &[101, 65_000], &raw mut error, &raw mut logits);
        assert_eq!(status, electra_core_status::Run);
        assert!(message(&error).contains("65000"), "{}", message(&error));
        // Without a place for the error.
        assert_eq!(run(made.engine, &[], ptr::null_mut(), &raw mut logits), electra_core_status::Run);
        let mut ids = [0u16; 4];
        let status = electra_core_tokenize(
            made.engine,
            c"caf\xe9".as_ptr(),
            4,
            ids.as_mut_ptr(),
            4,
            &raw mut count,
            ptr::null_mut(),
            &raw mut error,
        );
        assert_eq!(
            (status, message(&error).as_str()),
            (electra_core_status::Text, "text: byte 3 is not UTF-8")
        );
        let mut best = 0;
        let status = electra_core_scores(
            [f32::NAN, 0.0].as_ptr(),
            2,
            [0.0; 2].as_mut_ptr(),
            &raw mut best,
            &raw mut error,
        );
        assert_eq!(status, electra_core_status::Run);
        let status = electra_core_scores(ptr::null(), 0, ptr::null_mut(), &raw mut best, &raw mut error);
        assert_eq!(status, electra_core_status::Argument);
    }
}

#[test]
fn lengths_that_the_model_does_not_have_are_refused() {
    let words = model_bytes();
    for tokens in [0, 513, usize::MAX] {
        let (mut error, mut size) = (no_error(), 7);
        // SAFETY: all pointers are valid.
        let status = unsafe {
            let (data, length) = (words.as_ptr().cast(), words.len() * 4);
            electra_core_arena_bytes(data, length, tokens, &raw mut size, &raw mut error)
        };
        assert_eq!((status, size), (electra_core_status::Run, 7), "{tokens}");
        assert!(message(&error).contains("512"), "{}", message(&error));
    }
}

#[test]
fn a_damaged_model_is_refused() {
    let mut words = model_bytes();
    let middle = words.len() / 2;
    words[middle] ^= 1;
    let mut error = no_error();
    let mut size = 0;
    // SAFETY: all pointers are valid.
    let status = unsafe {
        electra_core_arena_bytes(words.as_ptr().cast(), words.len() * 4, 64, &raw mut size, &raw mut error)
    };
    assert_eq!((status, error.status), (electra_core_status::Model, electra_core_status::Model));
    assert!(message(&error).contains("checksum mismatch"), "{}", message(&error));
}

#[test]
fn a_long_message_is_cut_between_characters() {
    use std::fmt::Write;
    let mut text = crate::error::Message::new();
    write!(text, "{}é and more", "x".repeat(126)).expect("accepted");
    assert_eq!((text.length, text.bytes[126]), (126, 0));
}

#[test]
fn the_header_is_up_to_date() {
    let package = Path::new(PACKAGE);
    let config = cbindgen::Config::from_file(package.join("cbindgen.toml")).expect("settings");
    let bindings = cbindgen::Builder::new().with_crate(package).with_config(config).generate();
    let mut found = Vec::new();
    bindings.expect("a header").write(&mut found);
    let found = String::from_utf8(found).expect("UTF-8");
    let header = package.join("include/electra_core.h");
    if env::var_os("UPDATE_HEADER").is_some() {
        fs::write(&header, &found).expect("written");
    }
    let committed = fs::read_to_string(&header).unwrap_or_default();
    assert!(
        committed == found,
        "include/electra_core.h is not that of this crate; \
         UPDATE_HEADER=1 cargo test -p electra-capi-core writes it"
    );
}
