//! Tests behaviour of the shipped model that a set of labelled texts does not show, in the manner
//! of CheckList (Ribeiro et al. 2020). The cases are made from templates. They have an expected
//! label, or are pairs of texts that should get the same answer. checks.txt describes the format of
//! the templates, and limits.txt contains the permitted shares of failures.
#![forbid(unsafe_code)]

mod data;
mod expand;
mod judge;
mod typo;

use std::collections::{BTreeSet, HashMap};

use electra::{Classification, Classifier, ClassifierOptions, EngineKind, EngineOptions, ModelFile};

use expand::{Cases, Check, checks};
use judge::Outcome;

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/electra-small-sentiment/model.electra");
/// Texts per call.
const BATCH: usize = 16;
const THREADS: usize = 2;

#[test]
fn the_shipped_model_stays_within_its_limits() {
    let checks = checks(&data::sections(), &data::words());
    let answers = answers(&checks);
    let mut limits = data::limits();
    let mut failures = Vec::new();
    println!("{:<35} {:>5} {:>7} {:>7} {:>7}", "check", "cases", "failed", "flips", "moves");
    for check in &checks {
        let outcome = Outcome::of(check, |text| &answers[text]);
        println!("{}", row(&check.name, &outcome));
        match limits.remove(&check.name) {
            Some(limit) if outcome.is_within(limit) => {}
            limit => failures.push(format!("{}: {outcome:?}, limits.txt: {limit:?}", check.name)),
        }
    }
    assert!(failures.is_empty(), "above the limit, in percent, or without one:\n{}", failures.join("\n"));
    assert!(limits.is_empty(), "limits.txt: no check has these names: {:?}", limits.keys());
}

fn row(name: &str, outcome: &Outcome) -> String {
    let percent = |count: usize, cases: usize| format!("{:.1} %", 100.0 * count as f64 / cases as f64);
    match *outcome {
        Outcome::Labelled { cases, failed } => format!("{name:<35} {cases:>5} {:>7}", percent(failed, cases)),
        Outcome::Pairs { cases, flips, moves } => {
            format!(
                "{name:<35} {cases:>5} {:>7} {:>7} {:>7}",
                "",
                percent(flips, cases),
                percent(moves, cases)
            )
        }
    }
}

/// Returns the model's answer to each text of the checks.
fn answers(checks: &[Check]) -> HashMap<&str, Classification> {
    let texts: BTreeSet<&str> = checks
        .iter()
        .flat_map(|check| match &check.cases {
            Cases::Labelled(cases) => cases.iter().map(|case| case.text.as_str()).collect::<Vec<_>>(),
            Cases::Pairs(pairs) => pairs.iter().flat_map(|pair| [&*pair.original, &*pair.changed]).collect(),
        })
        .collect();
    let texts: Vec<&str> = texts.into_iter().collect();
    let file = ModelFile::open(MODEL).unwrap_or_else(|error| panic!("{error}"));
    std::thread::scope(|scope| {
        let parts = texts.chunks(texts.len().div_ceil(THREADS));
        let threads: Vec<_> = parts.map(|part| scope.spawn(|| classify(&file, part))).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("answers")).collect()
    })
}

fn classify<'a>(file: &ModelFile, texts: &[&'a str]) -> Vec<(&'a str, Classification)> {
    // All engines give the same answers. This one starts faster.
    let engine = EngineOptions::new().engine(EngineKind::Direct).max_tokens(64 + BATCH).max_sequences(BATCH);
    let options = ClassifierOptions::new().engine(engine).truncate(true);
    let mut classifier = Classifier::new(file, &options).unwrap_or_else(|error| panic!("{error}"));
    let mut answers = Vec::with_capacity(texts.len());
    for batch in texts.chunks(BATCH) {
        for (text, answer) in batch.iter().zip(classifier.classify_all(batch)) {
            let answer = answer.unwrap_or_else(|error| panic!("{text:?}: {error}"));
            assert!(!answer.truncated, "{text:?} is longer than the engine's sequences");
            answers.push((*text, answer));
        }
    }
    answers
}
