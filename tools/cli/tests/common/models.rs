//! Models made from the fixtures with a changed last layer.
#![allow(dead_code, reason = "each file of tests uses a part of it")]

use std::fs;
use std::path::Path;

use electra_core::model::{FileChecksum, crc32};
use electra_pack::{Source, hugging_face, model_file};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures");

/// Packs a fixture into `folder` as `electra pack` does. Returns the path of the model.
pub fn packed(folder: &Path, fixture: &str, change: impl Fn(Source) -> Source) -> String {
    let source = change(Source::new(Path::new(FIXTURES).join(fixture)));
    let path = folder.join(format!("{fixture}.electra"));
    fs::write(&path, source.pack().expect("packed").bytes).expect("written");
    path.to_str().expect("UTF-8").to_owned()
}

/// Changes the file and writes its checksums again, as somebody who forges a file would.
pub fn forge(path: &str, change: impl Fn(&mut Vec<u8>)) {
    let mut file = fs::read(path).expect("readable");
    change(&mut file);
    let number = |file: &[u8], at: usize| {
        u64::from_le_bytes(file[at..at + 8].try_into().expect("eight bytes")) as usize
    };
    for entry in (0..7).map(|index| 64 + 32 * index) {
        let (start, len) = (number(&file, entry + 8), number(&file, entry + 16).next_multiple_of(64));
        let crc = crc32(&file[start..start + len]);
        file[entry + 24..entry + 28].copy_from_slice(&crc.to_le_bytes());
    }
    let mut checksum = FileChecksum::new(&file[..320]);
    checksum.section(&file[320..]);
    file[32..36].copy_from_slice(&checksum.finish().to_le_bytes());
    fs::write(path, file).expect("written");
}

/// Packs the fixture `name` into `folder` after `change` has modified the weights and the bias of
/// its last layer. Returns the path of the model.
pub fn with_last_layer(folder: &Path, name: &str, change: impl Fn(&mut [f32], &mut [f32])) -> String {
    let fixture = Path::new(FIXTURES).join(name);
    let mut checkpoint = hugging_face::read(&fixture).expect("a fixture");
    let is_last = |name: &str| name.contains("out_proj.") || name.contains("dense_prediction.");
    let mut tensors = checkpoint.tensors.iter_mut().filter(|(name, _)| is_last(name));
    // The tensors are in the order of their names.
    let ((_, bias), (_, weight)) = (tensors.next().expect("a bias"), tensors.next().expect("weights"));
    change(&mut weight.data, &mut bias.data);
    let packed = model_file::pack(&checkpoint, &[("name", "test")]).expect("it fits");
    let path = folder.join(format!("{name}.electra"));
    std::fs::write(&path, packed.bytes).expect("written");
    path.to_str().expect("UTF-8").to_owned()
}

/// Packs a model whose logits overflow on every text.
pub fn overflowing(folder: &Path, name: &str) -> String {
    with_last_layer(folder, name, |weight, bias| {
        weight.fill(3e38);
        bias.fill(3e38);
    })
}

/// Packs a model whose scores are equal on every text, except the score of the first label, which
/// is lower.
pub fn undecided(folder: &Path, name: &str) -> String {
    with_last_layer(folder, name, |weight, bias| {
        weight.fill(0.0);
        bias.fill(1.0);
        bias[0] = 0.0;
    })
}
