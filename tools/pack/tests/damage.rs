//! Tests of files that are cut off or have changed bytes. The readers may refuse or accept them,
//! but must not panic.

mod common;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

use common::{Broken, fixture};
use electra_pack::checkpoint::Checkpoint;
use electra_pack::error::Error;
use electra_pack::{hugging_face, onnx};

/// Returns the positions to damage: the first 120 bytes, where headers are, and about 150 positions
/// spread over the whole file.
fn positions(length: usize) -> impl Iterator<Item = usize> {
    let spread = (0..length).step_by((length / 150).max(1));
    (0..length.min(120)).chain(spread)
}

/// Damages one file in many ways and reads the folder each time. Returns how many reads failed
/// after a cut and after a changed byte. Messages must be one line.
fn damage(folder: &Broken, file: &str, read: impl Fn() -> Result<Checkpoint, Error>) -> (usize, usize) {
    let whole = fs::read(folder.file(file)).unwrap();
    let attempt = |bytes: &[u8], what: &str| {
        folder.write(file, bytes);
        let result = catch_unwind(AssertUnwindSafe(&read));
        let result = result.unwrap_or_else(|_| panic!("{file} with {what} made the reader panic"));
        if let Err(error) = &result {
            assert!(!error.to_string().contains('\n'), "{file} with {what}: {error}");
        }
        result.is_err()
    };
    let (mut cut, mut flipped) = (0, 0);
    for position in positions(whole.len()) {
        let shorter = attempt(&whole[..position], &format!("{position} bytes"));
        let needed = file != "vocab.txt" && !whole[position..].trim_ascii().is_empty();
        assert!(shorter || !needed, "{file} was read without its end");
        cut += usize::from(shorter);
        for mask in [0x01, 0x80, 0xff] {
            let mut changed = whole.clone();
            changed[position] ^= mask;
            flipped += usize::from(attempt(&changed, &format!("byte {position} ^ {mask:#x}")));
        }
    }
    folder.write(file, whole);
    read().unwrap();
    (cut, flipped)
}

#[test]
fn damaged_hugging_face_folders_are_refused_or_read() {
    for (name, files) in [
        ("classifier", &["config.json", "model.safetensors", "vocab.txt"][..]),
        ("detector", &["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]),
        ("classifier-f16", &["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]),
    ] {
        let folder = Broken::copy(name, files);
        for file in files {
            let (cut, flipped) = damage(&folder, file, || hugging_face::read(folder.path()));
            println!("{name}/{file}: refused {cut} cut and {flipped} changed");
            assert!(flipped > 0, "no change to {name}/{file} was noticed");
        }
    }
}

#[test]
fn damaged_onnx_files_are_refused_or_read() {
    let options = onnx::Options { vocabulary: Some(fixture("classifier").join("vocab.txt")) };
    for (name, model) in [
        ("classifier", "dynamo.onnx"),
        ("classifier", "torchscript-int8-per-channel.onnx"),
        ("classifier", "torchscript-f16.onnx"),
        ("detector", "dynamo-int8-per-channel.onnx"),
    ] {
        for files in [&[model][..], &[model, "config.json"]] {
            let folder = Broken::copy(name, files);
            let (cut, flipped) = damage(&folder, model, || onnx::read(&folder.file(model), &options));
            println!("{name}/{model}: refused {cut} cut and {flipped} changed");
            assert!(flipped > 0, "no change to {name}/{model} was noticed");
        }
    }
}
