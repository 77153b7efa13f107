//! Compares with logits of the reference checkpoints that another implementation computed.

use std::path::{Path, PathBuf};

use electra_train::batch::LabelledBatch;
use electra_train::classification::{TextClassifier, tokenizer_of};
use electra_train::device::Precision;
use electra_train::model::config::Head;
use electra_train::model::folder::Folder;
use electra_train::model::{Classifier, Discriminator, Encoder, Mode, Parameters};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tch::{Device, Kind, Tensor};

/// Largest allowed difference of a logit. Both sides compute in f32.
const TOLERANCE: f64 = 1e-4;

#[derive(Deserialize)]
struct Expected {
    #[serde(alias = "ids")]
    input_ids: Vec<i64>,
    logits: Vec<f64>,
}

/// Expected results of an MPNet classifier, which have more fields.
#[derive(Deserialize)]
struct OfText {
    text: String,
    #[serde(flatten)]
    expected: Expected,
    cls_after_layer_1: Vec<f64>,
}

#[test]
fn classification_logits() {
    for name in ["tiny-classifier", "electra-small-sst2-v0"] {
        let Some((folder, expected)) = reference::<Expected>("classification_logits", name) else { return };
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

/// Compares the ids of the texts, the state of the first token after the first layer, and the
/// logits.
#[test]
fn mpnet_logits() {
    let name = "tiny-mpnet";
    let Some((folder, expected)) = reference::<OfText>("mpnet_logits", name) else { return };
    let classifier = TextClassifier::read(&folder, Device::Cpu).unwrap();
    let tokenizer = tokenizer_of(&folder).unwrap();
    let _guard = tch::no_grad_guard();
    for it in &expected {
        let ids = tokenizer.encode_framed(&it.text, folder.config.longest_input() as usize).unwrap();
        // The other implementation takes text in brackets for BERT's special tokens.
        if !it.text.contains("[CLS]") {
            assert_eq!(ids.iter().map(|&id| i64::from(id)).collect::<Vec<_>>(), it.expected.input_ids);
        }
        let ids = Tensor::from_slice(&it.expected.input_ids).unsqueeze(0);
        let states = classifier.encoder().states(&ids, None, Mode::Evaluate).unwrap();
        let first: Vec<f64> = Vec::try_from(states[1].get(0).get(0).to_kind(Kind::Double)).unwrap();
        for (found, expected) in first.iter().zip(&it.cls_after_layer_1) {
            assert!((found - expected).abs() < TOLERANCE, "{found} {expected} in {:?}", it.text);
        }
    }
    let expected: Vec<Expected> = expected.into_iter().map(|it| it.expected).collect();
    compare(name, &expected, |ids, present| {
        let present = present.map(Tensor::shallow_clone);
        let batch = LabelledBatch::unlabelled(ids.shallow_clone(), present).unwrap();
        classifier.logits(&batch, Mode::Evaluate).unwrap()
    });
}

#[test]
fn replaced_token_logits() {
    let Some((folder, expected)) = reference::<Expected>("replaced_token_logits", "tiny-rtd") else { return };
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

/// Returns the folder, and the expected results of at most 24 of its texts.
fn reference<T: DeserializeOwned>(test: &str, name: &str) -> Option<(Folder, Vec<T>)> {
    let Some(shared) = std::env::var_os("ELECTRA_SHARED").map(PathBuf::from) else {
        eprintln!("{test}: left out: ELECTRA_SHARED is not set");
        return None;
    };
    let path = shared.join("reference").join(name);
    let lines = std::fs::read_to_string(path.join("expected.jsonl")).unwrap();
    let expected: Vec<_> = lines.lines().take(24).map(|line| serde_json::from_str(line).unwrap()).collect();
    Some((Folder::read(Path::new(&path)).unwrap(), expected))
}

/// Compares the logits of each text, by itself without a mask and padded with one.
fn compare(name: &str, expected: &[Expected], logits: impl Fn(&Tensor, Option<&Tensor>) -> Tensor) {
    let _guard = tch::no_grad_guard();
    let mut largest = 0.0_f64;
    for text in expected {
        let tokens = text.input_ids.len() as i64;
        let ids = Tensor::from_slice(&text.input_ids).unsqueeze(0);
        let alone = logits(&ids, None);
        let padding = (512 - tokens).min(5);
        let padded = Tensor::cat(&[&ids, &Tensor::zeros([1, padding], (Kind::Int64, Device::Cpu))], 1);
        let present = Tensor::arange(tokens + padding, (Kind::Int64, Device::Cpu)).less(tokens).unsqueeze(0);
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
