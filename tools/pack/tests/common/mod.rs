//! Fixtures, and copies of them in which a test breaks one thing.
#![allow(dead_code)] // Each test binary uses a different part.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use electra_pack::checkpoint::{Checkpoint, Config, Head};
use electra_pack::error::Error;
use serde_json::Value;
use tempfile::TempDir;

pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(name)
}

/// Returns the sizes that `make_fixtures.py` uses.
pub fn config(head: Head) -> Config {
    Config {
        vocab_size: 98,
        embedding_size: 16,
        hidden_size: 32,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        intermediate_size: 64,
        max_position_embeddings: 32,
        type_vocab_size: 2,
        layer_norm_eps: 1e-12,
        head,
    }
}

pub fn classification() -> Head {
    Head::Classification { labels: ["negative", "neutral", "positive"].map(str::to_owned).to_vec() }
}

/// A copy of some files of a fixture folder. A test may break it.
pub struct Broken(TempDir);

impl Broken {
    pub fn copy(folder: &str, files: &[&str]) -> Self {
        let copy = tempfile::tempdir().unwrap();
        for file in files {
            fs::copy(fixture(folder).join(file), copy.path().join(file)).unwrap();
        }
        Self(copy)
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.file(name), content).unwrap();
    }

    /// Sets the value at a JSON pointer. The parent must exist. If the field is new, `Value::Null`
    /// has no effect on the reader.
    pub fn set(&self, name: &str, pointer: &str, value: Value) {
        let mut json: Value = serde_json::from_slice(&fs::read(self.file(name)).unwrap()).unwrap();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        match json.pointer_mut(parent).unwrap() {
            Value::Object(fields) => drop(fields.insert(key.to_owned(), value)),
            Value::Array(values) => values[key.parse::<usize>().unwrap()] = value,
            other => panic!("{other} has no fields"),
        }
        self.write(name, json.to_string());
    }

    /// Replaces every occurrence of `from` in a binary file with `to`, which has the same length.
    pub fn substitute(&self, name: &str, from: &str, to: &str) {
        assert_eq!(from.len(), to.len());
        let mut bytes = fs::read(self.file(name)).unwrap();
        let mut found = 0;
        for start in 0..=bytes.len() - from.len() {
            if bytes[start..].starts_with(from.as_bytes()) {
                bytes[start..start + from.len()].copy_from_slice(to.as_bytes());
                found += 1;
            }
        }
        assert!(found > 0, "{from} is not in {name}");
        self.write(name, bytes);
    }
}

/// Asserts that `result` is an error with a one-line message that contains all `parts`.
#[track_caller]
pub fn assert_refused(result: Result<Checkpoint, Error>, parts: &[&str]) {
    let Err(error) = result else { panic!("should have been refused: {parts:?}") };
    let message = error.to_string();
    assert!(!message.contains('\n'), "more than a line: {message}");
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
}

/// Values of each tensor in PyTorch: shape, first value, last value, sum.
pub type Expected = BTreeMap<String, (Vec<usize>, f64, f64, f64)>;

pub fn expected(folder: &str) -> Expected {
    let json: BTreeMap<String, Value> =
        serde_json::from_slice(&fs::read(fixture(folder).join("expected.json")).unwrap()).unwrap();
    let number = |value: &Value, field: &str| value[field].as_f64().unwrap();
    json.into_iter()
        .map(|(name, value)| {
            let shape = serde_json::from_value(value["shape"].clone()).unwrap();
            (name, (shape, number(&value, "first"), number(&value, "last"), number(&value, "sum")))
        })
        .collect()
}

/// Asserts that `checkpoint` has exactly the tensors that PyTorch wrote.
#[track_caller]
pub fn assert_tensors(checkpoint: &Checkpoint, expected: &Expected) {
    let names: Vec<_> = checkpoint.tensors.keys().collect();
    assert_eq!(names, expected.keys().collect::<Vec<_>>());
    for (name, (shape, first, last, sum)) in expected {
        let tensor = &checkpoint.tensors[name];
        assert_eq!(&tensor.shape, shape, "{name}");
        assert_eq!(tensor.data.len(), shape.iter().product::<usize>(), "{name}");
        assert_eq!(tensor.data[0], *first as f32, "{name}");
        assert_eq!(tensor.data[tensor.data.len() - 1], *last as f32, "{name}");
        let found: f64 = tensor.data.iter().map(|&value| f64::from(value)).sum();
        assert!((found - sum).abs() < 1e-9, "{name}: sum {found}, expected {sum}");
    }
}
