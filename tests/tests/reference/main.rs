//! Compares with reference results: ids, tokens and logits that PyTorch and `transformers`
//! computed, and accuracy on SST-2.
#![forbid(unsafe_code)]

mod overflow;

use std::path::Path;

use electra::{Engine, EngineOptions, ModelFile};
use electra_pack::checkpoint::Checkpoint;
use electra_pack::float::Float;
use electra_tests::{model_file, pack, read_folder, shared};

/// Longest sequence of the reference models, in tokens.
const POSITIONS: usize = 512;

/// One line of `expected.jsonl`.
struct Line {
    text: String,
    ids: Vec<u16>,
    tokens: Vec<String>,
    logits: Vec<f32>,
}

/// Differences of logits: the greatest, and sum and number for the mean.
#[derive(Debug, Default)]
struct Differences {
    greatest: f32,
    sum: f64,
    count: usize,
}

impl Differences {
    fn add(&mut self, found: &[f32], expected: &[f32]) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            let difference = (found - expected).abs();
            assert!(difference.is_finite(), "{found} found, {expected} expected");
            self.greatest = self.greatest.max(difference);
            self.sum += f64::from(difference);
            self.count += 1;
        }
    }

    fn mean(&self) -> f64 {
        self.sum / self.count.max(1) as f64
    }
}

fn lines(folder: &Path) -> Vec<Line> {
    let path = folder.join("expected.jsonl");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines()
        .map(|line| {
            let line: serde_json::Value =
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let list = |key: &str| line[key].as_array().cloned().unwrap_or_else(|| panic!("no {key}"));
            let number = |value: &serde_json::Value| value.as_f64().unwrap_or(f64::NAN);
            Line {
                text: line["text"].as_str().unwrap_or_else(|| panic!("no text")).to_owned(),
                ids: list("input_ids").iter().map(|id| number(id) as u16).collect(),
                tokens: list("tokens").iter().map(|t| t.as_str().unwrap_or_default().to_owned()).collect(),
                logits: list("logits").iter().map(|logit| number(logit) as f32).collect(),
            }
        })
        .collect()
}

fn encode(file: &ModelFile, text: &str) -> Vec<u16> {
    let mut ids = [0; POSITIONS];
    let encoding = file.tokenizer().encode(text, &mut ids).unwrap_or_else(|error| panic!("{error}"));
    ids[..encoding.len].to_vec()
}

/// Tokenizes and runs every line with both implementations. Returns the differences of the engine's
/// logits from the reference, or `None` without reference data.
fn check(name: &str) -> Option<Differences> {
    let folder = shared(name)?.join("reference").join(name);
    let checkpoint = read_folder(&folder);
    let file = model_file(&pack(&checkpoint));
    let float = Float::new(&checkpoint);
    let mut engine = Engine::new(&file, &EngineOptions::default()).unwrap_or_else(|error| panic!("{error}"));
    let (mut differences, mut of_float) = (Differences::default(), Differences::default());
    let lines = lines(&folder);
    for line in &lines {
        let ids = encode(&file, &line.text);
        assert_eq!(ids, line.ids, "{:?}", line.text);
        let vocabulary = file.model().vocabulary();
        let tokens: Vec<_> = ids.iter().map(|id| vocabulary.token(*id).unwrap_or("no such id")).collect();
        assert_eq!(tokens, line.tokens, "{:?}", line.text);
        differences.add(engine.run(&ids).unwrap_or_else(|error| panic!("{error}")), &line.logits);
        of_float.add(&float.logits(&ids), &line.logits);
    }
    println!(
        "{name}: {} lines, int8 differs by {:.4} at most, {:.4} on average; f32 here by {:.6} at most",
        lines.len(),
        differences.greatest,
        differences.mean(),
        of_float.greatest
    );
    assert!(
        of_float.greatest <= 1e-3,
        "the float implementation of this test is off by {}",
        of_float.greatest
    );
    Some(differences)
}

#[test]
fn tiny_classifier() {
    let Some(differences) = check("tiny-classifier") else { return };
    assert!(differences.greatest <= 0.3 && differences.mean() <= 0.1, "{differences:?}");
}

#[test]
fn tiny_rtd() {
    let Some(differences) = check("tiny-rtd") else { return };
    assert!(differences.greatest <= 0.3 && differences.mean() <= 0.1, "{differences:?}");
}

#[test]
fn electra_small_sst2() {
    let Some(differences) = check("electra-small-sst2-v0") else { return };
    assert!(differences.greatest <= 0.1, "{differences:?}");
}

#[test]
fn accuracy_on_sst2() {
    let Some(shared) = shared("accuracy_on_sst2") else { return };
    let sentences = sst2_dev(&shared);
    assert_eq!(sentences.len(), 872);
    let checkpoint = read_folder(&shared.join("reference/electra-small-sst2-v0"));
    let file = model_file(&pack(&checkpoint));
    let mut engine = Engine::new(&file, &EngineOptions::default()).unwrap_or_else(|error| panic!("{error}"));
    let expected = float_labels(&file, &checkpoint, &sentences);
    let (mut correct, mut correct_in_float, mut same) = (0, 0, 0);
    for ((sentence, label), in_float) in sentences.iter().zip(expected) {
        let logits = engine.run(&encode(&file, sentence)).unwrap_or_else(|error| panic!("{error}"));
        let found = greatest(logits);
        correct += usize::from(found == *label);
        correct_in_float += usize::from(in_float == *label);
        same += usize::from(found == in_float);
    }
    println!("SST-2 dev: {correct} of 872 in int8, {correct_in_float} in f32, {same} labels the same");
    assert_eq!(correct_in_float, 721, "the reference's README says 721");
    let points = |count: usize| count as f64 / 872.0 * 100.0;
    assert!((points(correct) - points(721)).abs() <= 0.5);
    assert!(points(same) >= 99.0);
}

fn sst2_dev(shared: &Path) -> Vec<(String, usize)> {
    let path = shared.join("data/sst2/dev.tsv");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let line = |line: &str| {
        let (sentence, label) = line.rsplit_once('\t').unwrap_or_else(|| panic!("no tab in {line:?}"));
        (sentence.to_owned(), label.parse().unwrap_or_else(|error| panic!("{line:?}: {error}")))
    };
    text.lines().skip(1).map(line).collect()
}

fn float_labels(file: &ModelFile, checkpoint: &Checkpoint, sentences: &[(String, usize)]) -> Vec<usize> {
    let float = Float::new(checkpoint);
    let (first, second) = sentences.split_at(sentences.len() / 2);
    let run = |part: &[(String, usize)]| -> Vec<usize> {
        part.iter().map(|(sentence, _)| greatest(&float.logits(&encode(file, sentence)))).collect()
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(|| run(second));
        let mut labels = run(first);
        labels.extend(other.join().unwrap_or_else(|_| panic!("the second half failed")));
        labels
    })
}

fn greatest(logits: &[f32]) -> usize {
    let best = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    best.map_or(usize::MAX, |(index, _)| index)
}
