//! Logits of the reference checkpoints, which another implementation computed.

use std::path::{Path, PathBuf};

use electra_train::device::Precision;
use electra_train::model::config::Head;
use electra_train::model::folder::Folder;
use electra_train::model::{Classifier, Discriminator, Encoder, Mode, Parameters};
use serde::Deserialize;
use tch::{Device, Kind, Tensor};

/// Largest difference of a logit; both sides compute in f32.
const TOLERANCE: f64 = 1e-4;

#[derive(Deserialize)]
struct Expected {
    input_ids: Vec<i64>,
    logits: Vec<f64>,
}

#[test]
fn classification_logits() {
    for name in ["tiny-classifier", "electra-small-sst2-v0"] {
        let Some((folder, expected)) = reference("classification_logits", name) else { return };
        let Head::Classification(labels) = &folder.head else { panic!("{name} is no classifier") };
        let mut list = Encoder::parameters(&folder.config, "", false);
        list.extend(Classifier::parameters(&folder.config, labels.len()));
        let parameters = Parameters::new(list, Device::Cpu, Precision::F32, 0).unwrap();
        assert!(folder.load_into(&parameters, true).unwrap().is_empty());
        let encoder = Encoder::new(&parameters, &folder.config, "", None);
        let head = Classifier::new(&parameters, &folder.config);
        compare(name, &expected, |ids, present| {
            let states = encoder.forward(ids, present, Mode::Evaluate).unwrap();
            head.forward(&states, Mode::Evaluate).unwrap()
        });
    }
}

#[test]
fn replaced_token_logits() {
    let Some((folder, expected)) = reference("replaced_token_logits", "tiny-rtd") else { return };
    let mut list = Encoder::parameters(&folder.config, "", false);
    list.extend(Discriminator::parameters(&folder.config));
    let parameters = Parameters::new(list, Device::Cpu, Precision::F32, 0).unwrap();
    assert!(folder.load_into(&parameters, true).unwrap().is_empty());
    let encoder = Encoder::new(&parameters, &folder.config, "", None);
    let head = Discriminator::new(&parameters);
    compare("tiny-rtd", &expected, |ids, present| {
        head.forward(&encoder.forward(ids, present, Mode::Evaluate).unwrap()).unwrap()
    });
}

/// The folder, and at most 24 of its texts.
fn reference(test: &str, name: &str) -> Option<(Folder, Vec<Expected>)> {
    let Some(shared) = std::env::var_os("ELECTRA_SHARED").map(PathBuf::from) else {
        eprintln!("{test}: left out: ELECTRA_SHARED is not set");
        return None;
    };
    let path = shared.join("reference").join(name);
    let lines = std::fs::read_to_string(path.join("expected.jsonl")).unwrap();
    let expected: Vec<_> = lines.lines().take(24).map(|line| serde_json::from_str(line).unwrap()).collect();
    Some((Folder::read(Path::new(&path)).unwrap(), expected))
}

/// Each text by itself without a mask, and padded with one.
fn compare(name: &str, expected: &[Expected], logits: impl Fn(&Tensor, Option<&Tensor>) -> Tensor) {
    let _guard = tch::no_grad_guard();
    let mut largest = 0.0_f64;
    for text in expected {
        let tokens = text.input_ids.len() as i64;
        let ids = Tensor::from_slice(&text.input_ids).unsqueeze(0);
        let alone = logits(&ids, None);
        let padding = (512 - tokens).min(5);
        let padded = Tensor::cat(&[&ids, &Tensor::zeros([1, padding], (Kind::Int64, Device::Cpu))], 1);
        let present = padded.not_equal(0);
        let with_mask = logits(&padded, Some(&present));
        for found in [alone, with_mask] {
            let found: Vec<f64> = Vec::try_from(found.flatten(0, -1).to_kind(Kind::Double)).unwrap();
            for (found, expected) in found.iter().zip(&text.logits) {
                largest = largest.max((found - expected).abs());
            }
        }
    }
    println!("{name}: logits of {} texts differ by at most {largest:.1e}", expected.len());
    assert!(largest < TOLERANCE, "{name}: {largest}");
}
