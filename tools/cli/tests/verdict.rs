//! Tests of scores that are not numbers and of equal scores, in every command that prints scores.

mod common;
#[path = "common/models.rs"]
mod models;

use std::fs;

use common::{expect_code, run, run_with, stderr, stdout};
use serde_json::Value;

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("one JSON object")
}

#[test]
fn logits_that_overflow_are_an_error_of_their_text() {
    let folder = tempfile::tempdir().expect("a folder");
    let classifier = models::overflowing(folder.path(), "classifier");
    let detector = models::overflowing(folder.path(), "detector");
    for engine in ["tract", "direct"] {
        for (command, model) in [("classify", &classifier), ("detect", &detector)] {
            for json in [&[][..], &["--json"]] {
                let args = [&[command, "--engine", engine, "--model", model, "the and", "a"], json].concat();
                let output = run(&args);
                expect_code(&output, 1);
                assert_eq!(stdout(&output), "", "{args:?}");
                for line in 1..=2 {
                    let problem = format!("command line, line {line}: logit 0 is not finite, expected");
                    assert!(stderr(&output).contains(&problem), "{args:?}: {}", stderr(&output));
                }
            }
        }
        let args = ["classify", "--engine", engine, "--threads", "2", "--model", &classifier, "--input", "-"];
        let output = run_with(&args, "the and\n".repeat(100).as_bytes());
        expect_code(&output, 1);
        assert_eq!((stdout(&output).as_str(), stderr(&output).matches("is not finite").count()), ("", 100));
    }
    let table = folder.path().join("t.csv");
    fs::write(&table, "text,label\nthe,negative\n").expect("written");
    let table = table.to_str().expect("UTF-8");
    let output = run(&["evaluate", "--model", &classifier, "--input", table]);
    expect_code(&output, 1);
    assert_eq!(stdout(&output), "");
    assert!(stderr(&output).contains("line 2: logit 0 is not finite"), "{}", stderr(&output));
}

#[test]
fn equal_scores_have_one_order_in_every_command() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = models::undecided(folder.path(), "classifier");
    let classify = |args: &[&str]| {
        let output = run(&[&["classify", "--model", &model, "the"], args].concat());
        expect_code(&output, 0);
        stdout(&output)
    };
    assert_eq!(
        classify(&["--top-k", "3"]),
        "[neutral] the (Score: 0.4223; positive 0.4223; negative 0.1554)\n"
    );
    for shown in 1..=3 {
        let answer = json(&classify(&["--json", "--top-k", &shown.to_string()]));
        assert_eq!(
            (&answer["label"], &answer["score"]),
            (&answer["scores"][0]["label"], &answer["scores"][0]["score"])
        );
        let names: Vec<_> =
            answer["scores"].as_array().into_iter().flatten().map(|s| s["label"].clone()).collect();
        assert_eq!(names, ["neutral", "positive", "negative"][..shown]);
    }
    let table = folder.path().join("t.csv");
    fs::write(&table, "text,label\nthe,neutral\nthe,positive\n").expect("written");
    let table = table.to_str().expect("UTF-8");
    let output = run(&["evaluate", "--model", &model, "--input", table, "--json"]);
    expect_code(&output, 0);
    assert_eq!(json(&stdout(&output))["confusion"], serde_json::json!([[0, 0, 0], [0, 1, 0], [0, 1, 0]]));
}
