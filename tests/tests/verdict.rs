//! Tests the step from logits to an answer. A logit that is not finite is an error of its own text
//! only. Of labels with equal scores, the first wins.
#![forbid(unsafe_code)]

use electra::{
    Classifier, ClassifierOptions, Detector, Engine, EngineKind, EngineOptions, Error, LabelScore, ModelFile,
};
use electra_core::{Kernels, RunError};
use electra_pack::checkpoint::Checkpoint;
use electra_tests::{Aligned, Sizes, model_file, pack};

const TEXTS: [&str; 12] = [
    "a",
    "b c",
    "the film",
    "not good",
    "bad",
    "d e f",
    "q",
    "12 3",
    "very",
    "zz",
    "a a a a a a",
    "so, so good!",
];

/// Multiplies the weights and biases of one layer of the head by 2^`exponent`. `layers` has the
/// prefix of the layer's name for each kind of head.
fn scale(checkpoint: &mut Checkpoint, layers: [&str; 2], exponent: i32) {
    let tensors = checkpoint.tensors.iter_mut();
    let scaled = tensors.filter(|(name, _)| layers.iter().any(|layer| name.starts_with(layer)));
    let count = scaled.fold(0, |count, (name, tensor)| {
        tensor.data.iter_mut().for_each(|value| *value *= 2f32.powi(exponent));
        assert!(tensor.data.iter().all(|value| value.is_finite()), "{name}");
        count + 1
    });
    assert_eq!(count, 2, "a layer's weights and biases");
}

const FIRST_LAYER: [&str; 2] = ["classifier.dense", "discriminator_predictions.dense."];
const LAST_LAYER: [&str; 2] = ["classifier.out_proj", "discriminator_predictions.dense_prediction"];

fn ids(file: &ModelFile, text: &str) -> Vec<u16> {
    let mut ids = [0; 64];
    let encoding = file.tokenizer().encode(text, &mut ids).unwrap_or_else(|error| panic!("{error}"));
    ids[..encoding.len].to_vec()
}

/// Returns a model for which some of [`TEXTS`] overflow. For each text, also returns the index of
/// the first logit that overflows.
fn overflowing(labels: Option<usize>) -> (ModelFile, Vec<Option<usize>>) {
    let mut checkpoint = Sizes { labels, ..Sizes::TINY }.checkpoint(71);
    // The rows before the last layer are large. No product within the last layer is then larger
    // than the logit that it becomes.
    scale(&mut checkpoint, FIRST_LAYER, 12);
    let sane = model_file(&pack(&checkpoint));
    let options = EngineOptions::new().engine(EngineKind::Direct);
    let mut engine = Engine::new(&sane, &options).unwrap_or_else(|error| panic!("{error}"));
    let logits = TEXTS.map(|text| engine.run(&ids(&sane, text)).unwrap().to_vec());
    for exponent in (90..124).rev() {
        let most = f64::from(f32::MAX) / 2f64.powi(exponent);
        let first = |logits: &Vec<f32>| logits.iter().position(|logit| f64::from(logit.abs()) > most);
        let expected: Vec<_> = logits.iter().map(first).collect();
        if expected.iter().any(Option::is_some) && expected.iter().any(Option::is_none) {
            // The logits become larger by exactly this factor.
            scale(&mut checkpoint, LAST_LAYER, exponent);
            return (model_file(&pack(&checkpoint)), expected);
        }
    }
    panic!("no power of two divides the texts")
}

#[track_caller]
fn expect<T>(outcome: Result<T, Error>, expected: Option<usize>, text: &str) {
    match (outcome, expected) {
        (Ok(_), None) => {}
        (Err(Error::Run(error)), Some(index)) => assert_eq!(error, RunError::NotFinite { index }, "{text}"),
        (outcome, _) => panic!("{text}: {:?}, expected {expected:?}", outcome.err()),
    }
}

#[test]
fn a_text_whose_logits_overflow_is_an_error_and_its_neighbours_are_not() {
    let (file, expected) = overflowing(Some(3));
    for engine in EngineKind::ALL {
        for max_sequences in [None, Some(4), Some(16)] {
            let engine = EngineOptions::new().engine(*engine).max_sequences(max_sequences).max_tokens(40);
            let options = ClassifierOptions::new().engine(engine).truncate(false);
            let mut classifier = Classifier::new(&file, &options).unwrap_or_else(|error| panic!("{error}"));
            let answers = classifier.classify_all(&TEXTS);
            for ((answer, expected), text) in answers.into_iter().zip(&expected).zip(TEXTS) {
                expect(answer, *expected, text);
                expect(classifier.classify(text), *expected, text);
            }
        }
    }
}

#[test]
fn a_window_that_overflows_is_an_error_of_the_whole_text() {
    let (file, _) = overflowing(Some(3));
    let engine = EngineOptions::new().max_tokens(3);
    let options = ClassifierOptions::new().engine(engine).truncate(false);
    let mut classifier = Classifier::new(&file, &options).unwrap_or_else(|error| panic!("{error}"));
    // Each window has one token, so the letters that overflow alone are found first.
    let letters: Vec<String> = ('a'..='z').map(String::from).collect();
    let (bad, good): (Vec<&str>, Vec<&str>) =
        letters.iter().map(String::as_str).partition(|letter| classifier.classify(letter).is_err());
    assert!(!bad.is_empty() && !good.is_empty(), "{} overflow, {} do not", bad.len(), good.len());
    for place in 0..3 {
        let mut words = [good[0]; 3];
        assert!(classifier.classify(&words.join(" ")).is_ok());
        words[place] = bad[0];
        let error = classifier.classify(&words.join(" ")).expect_err("a window overflows");
        assert!(matches!(error, Error::Run(RunError::NotFinite { .. })), "{error}");
    }
}

#[test]
fn a_detector_and_the_engines_refuse_them_too() {
    for labels in [None, Some(3)] {
        let (file, expected) = overflowing(labels);
        for engine in EngineKind::ALL {
            let options = EngineOptions::new().engine(*engine).max_tokens(40);
            let mut detector = labels.is_none().then(|| Detector::new(&file, &options).unwrap());
            let mut engine = Engine::new(&file, &options).unwrap();
            let mut arena = Aligned::zeroed(electra_core::arena_bytes(file.model().config(), 40));
            let bare = electra_core::Engine::new(file.model(), Kernels::detect(), arena.bytes_mut(), 40);
            let mut bare = bare.unwrap_or_else(|error| panic!("{error}"));
            for (text, expected) in TEXTS.into_iter().zip(&expected) {
                let ids = ids(&file, text);
                expect(engine.run(&ids), *expected, text);
                expect(bare.run(&ids).map_err(Error::from), *expected, text);
                if let Some(detector) = &mut detector {
                    expect(detector.detect(text), *expected, text);
                }
            }
        }
    }
}

#[test]
fn equal_scores_have_one_order() {
    for labels in [2, 3, 7] {
        let mut checkpoint = Sizes { labels: Some(labels), ..Sizes::TINY }.checkpoint(72);
        // The first label has the lowest score. All others are equal.
        for (name, tensor) in &mut checkpoint.tensors {
            if name.ends_with("out_proj.weight") {
                tensor.data.fill(0.0);
            } else if name.ends_with("out_proj.bias") {
                tensor.data.fill(1.0);
                tensor.data[0] = 0.0;
            }
        }
        let file = model_file(&pack(&checkpoint));
        let mut classifier = Classifier::new(&file, &ClassifierOptions::default()).unwrap();
        for text in ["a", &"b c ".repeat(400)] {
            let answer = classifier.classify(text).unwrap();
            let ranked = answer.ranked();
            assert_eq!((&*answer.label, answer.score), ("label 1", answer.scores[1].score));
            assert_eq!(ranked[0], LabelScore { label: answer.label.clone(), score: answer.score });
            let names: Vec<&str> = ranked.iter().map(|entry| &*entry.label).collect();
            let expected: Vec<String> =
                (1..labels).chain([0]).map(|index| format!("label {index}")).collect();
            assert_eq!(names, expected);
        }
    }
}
