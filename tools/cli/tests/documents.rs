//! The example sentences of the documents have the labels and scores that the documents say.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{expect_code, run, stdout};
use serde_json::Value;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
const LABELS: [&str; 3] = ["POSITIVE", "NEGATIVE", "NEUTRAL"];

/// Sentences of the documents: file, text, label and score as printed there.
const EXAMPLES: &[(&str, &str, &str, &str)] = &[
    ("README.md", "ELECTRA is surprisingly fast and accurate.", "POSITIVE", "0.9421"),
    ("README.md", "Sehr gut", "NEUTRAL", "0.53"),
    ("docs/explain.md", "The plot is thin, but the acting is superb.", "POSITIVE", "0.9026"),
    ("docs/raspberry-pi.md", "ELECTRA is surprisingly fast and accurate.", "POSITIVE", "0.9421"),
    ("docs/raspberry-pi.md", "What a waste of money.", "NEGATIVE", "0.8908"),
    ("docs/serve.md", "ELECTRA is surprisingly fast and accurate.", "POSITIVE", "0.9421"),
    ("docs/serve.md", "A dull, lifeless mess.", "NEGATIVE", "0.9015"),
    ("firmware-examples/sentiment-uart/README.md", "What a waste of money.", "NEGATIVE", "0.8908"),
    ("firmware-examples/sentiment-uart/README.md", "The meeting is on Tuesday at 3 pm.", "NEUTRAL", "0.9383"),
    (
        "firmware-examples/sentiment-uart/README.md",
        "A warm, funny and quietly moving film.",
        "POSITIVE",
        "0.9343",
    ),
    ("firmware-examples/c-uart/README.md", "What a waste of money.", "NEGATIVE", "0.8908"),
    ("firmware-examples/c-uart/README.md", "A warm, funny and quietly moving film.", "POSITIVE", "0.9343"),
    ("models/electra-small-sentiment/README.md", "The phone is heavy.", "NEGATIVE", "0.73"),
    (
        "models/electra-small-sentiment/README.md",
        "The class visited the dismal museum in the afternoon.",
        "NEUTRAL",
        "0.95",
    ),
];

#[test]
fn the_model_answers_as_the_documents_say() {
    for &(document, text, label, score) in EXAMPLES {
        let output = run(&["classify", "--json", "--", text]);
        expect_code(&output, 0);
        let answer: Value = serde_json::from_str(&stdout(&output)).expect("one JSON object");
        let decimals = score.split('.').nth(1).map_or(0, str::len);
        let found = format!("{:.decimals$}", answer["score"].as_f64().expect("a number"));
        assert_eq!((answer["label"].as_str(), &*found), (Some(label), score), "{document}: {text}");
    }
}

#[test]
fn the_documents_have_these_sentences() {
    for &(document, text, ..) in EXAMPLES {
        let page = words(&fs::read_to_string(Path::new(ROOT).join(document)).expect("readable"));
        assert!(page.contains(text), "{document} has no sentence {text:?}");
    }
}

/// A label with a score that no example covers could be wrong.
#[test]
fn every_label_with_a_score_is_an_example() {
    let mut found = 0;
    for path in documents() {
        let name = path.strip_prefix(ROOT).expect("below the root").to_str().expect("UTF-8").to_owned();
        for (label, score) in answers(&words(&fs::read_to_string(&path).expect("readable"))) {
            let is_it = |example: &&(&str, &str, &str, &str)| {
                // Python prints all digits of a score.
                example.0 == name && example.2 == label && score.starts_with(&example.3[..4])
            };
            assert!(EXAMPLES.iter().any(|example| is_it(&example)), "{name}: {label} {score} is no example");
            found += 1;
        }
    }
    assert!(found >= EXAMPLES.len(), "{found} answers found");
}

/// Only the time may differ.
#[test]
fn the_explanation_is_as_printed() {
    let page = fs::read_to_string(Path::new(ROOT).join("docs/explain.md")).expect("readable");
    let (_, example) = page.split_once("$ electra explain \"").expect("an example");
    let (example, _) = example.split_once("\n```").expect("its end");
    let (text, printed) = example.split_once("\"\n").expect("a text");
    let output = run(&["explain", text]);
    expect_code(&output, 0);
    let without_time = |lines: &str| {
        let (summary, rest) = lines.split_once('\n').expect("several lines");
        let (summary, time) = summary.rsplit_once(", ").expect("a time");
        assert!(time.ends_with(" times the time of the text"), "{time}");
        format!("{summary}\n{}", rest.trim_end())
    };
    assert_eq!(without_time(&stdout(&output)), without_time(printed));
}

/// Returns the documents for users.
fn documents() -> Vec<PathBuf> {
    let root = Path::new(ROOT);
    let mut paths = vec![
        root.join("README.md"),
        root.join("models/electra-small-sentiment/README.md"),
        root.join("firmware-examples/sentiment-uart/README.md"),
        root.join("firmware-examples/c-uart/README.md"),
        root.join("raspberry-pi-examples/README.md"),
        root.join("runtime/python/README.md"),
    ];
    let docs = fs::read_dir(root.join("docs")).expect("the folder docs").flatten().map(|entry| entry.path());
    paths.extend(docs.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    paths.sort();
    paths
}

/// Joins the lines of a page, because a sentence may be wrapped.
fn words(page: &str) -> String {
    page.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns each label that is followed by a score within the same answer.
fn answers(page: &str) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    for label in LABELS {
        for (start, _) in page.match_indices(label) {
            let rest = &page[start + label.len()..];
            // `[LABEL] text (Score: 0.9765)`, `LABEL 0.9765`, `LABEL with a score of 0.97`, or an
            // answer in Python or JSON.
            let bracket = page[..start].ends_with('[').then(|| rest.find("(Score: ")).flatten();
            let near = ["] ", " ", " with ", " with a score of ", "', 'score': ", "\",\"score\":"];
            let score = match bracket {
                Some(at) => Some(&rest[at + "(Score: ".len()..]),
                None => near.iter().rev().find_map(|between| rest.strip_prefix(between)),
            };
            let Some(score) = score.filter(|score| score.starts_with("0.")) else { continue };
            let end = score.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(score.len());
            let score = score[..end].trim_end_matches('.');
            found.push((label, score.to_owned()));
        }
    }
    found
}
