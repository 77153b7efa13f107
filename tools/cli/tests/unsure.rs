//! Tests of thresholds: the answer UNSURE, and thresholds that an evaluation chooses.

mod common;

use std::fs;
use std::path::Path;

use common::{SENTENCE, expect_code, run, stderr, stdout};
use electra_pack::Source;
use serde_json::Value;

const MODEL: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/electra-small-sentiment/model.electra");

fn json(args: &[&str]) -> Value {
    let output = run(args);
    expect_code(&output, 0);
    serde_json::from_str(&stdout(&output)).expect("one JSON object")
}

/// Writes the shipped model with these thresholds into `folder`.
fn with_thresholds(folder: &Path, thresholds: &[(&str, &str)]) -> String {
    let mut source = Source::new(MODEL);
    for (label, score) in thresholds {
        source = source.threshold(*label, *score);
    }
    let path = folder.join("thresholds.electra");
    fs::write(&path, source.change_metadata().expect("packed")).expect("written");
    path.to_str().expect("UTF-8").to_owned()
}

#[test]
fn a_low_score_gets_the_answer_unsure_with_all_scores() {
    let sure = json(&["classify", SENTENCE, "--json"]);
    let score = sure["score"].as_f64().expect("a score");
    let (below, above) = (format!("{:.6}", score - 1e-4), format!("{:.6}", score + 1e-4));
    assert_eq!(json(&["classify", SENTENCE, "--json", "--min-score", &below]), sure);
    let unsure = json(&["classify", SENTENCE, "--json", "--min-score", &above]);
    assert_eq!(unsure["label"], "UNSURE");
    for same in ["score", "scores", "tokens", "windows"] {
        assert_eq!(unsure[same], sure[same]);
    }
    let printed = stdout(&run(&["classify", SENTENCE, "--min-score", &above]));
    assert!(printed.starts_with("[UNSURE] ELECTRA is"), "{printed}");
    for label in ["POSITIVE", "NEUTRAL", "NEGATIVE"] {
        assert!(printed.contains(&format!("; {label} 0.")), "{printed}");
    }
    let one = stdout(&run(&["classify", SENTENCE, "--min-score", &above, "--top-k", "1"]));
    assert!(one.contains("; POSITIVE 0.") && !one.contains("NEUTRAL"), "{one}");
    for wrong in ["-0.1", "1.1", "nan", "often"] {
        let refused = run(&["classify", SENTENCE, &format!("--min-score={wrong}")]);
        expect_code(&refused, 2);
        assert!(stderr(&refused).contains("expected a number from 0 to 1"), "{}", stderr(&refused));
    }
}

#[test]
fn thresholds_in_the_file_apply_to_their_label_and_an_option_replaces_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = with_thresholds(folder.path(), &[("POSITIVE", "0.999"), ("NEUTRAL", "0.5")]);
    let label = |text: &str, more: &[&str]| {
        let args = [&["classify", text, "--model", &model, "--json"], more].concat();
        json(&args)["label"].as_str().expect("a label").to_owned()
    };
    assert_eq!(label(SENTENCE, &[]), "UNSURE");
    assert_eq!(label(SENTENCE, &["--engine", "direct"]), "UNSURE");
    assert_eq!(label(SENTENCE, &["--min-score", "0"]), "POSITIVE");
    assert_eq!(label("A dull, lifeless mess.", &[]), "NEGATIVE");
    assert_eq!(label("A dull, lifeless mess.", &["--min-score", "0.99"]), "UNSURE");
    let inspected = json(&["inspect", &model, "--json"]);
    assert_eq!(inspected["metadata"]["threshold.POSITIVE"], "0.999");
}

#[test]
fn a_file_with_a_wrong_threshold_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let refused = Source::new(MODEL).threshold("HAPPY", "0.5").change_metadata().expect_err("refused");
    let expected = "the model has no label \"HAPPY\", expected one of NEGATIVE, NEUTRAL, POSITIVE";
    assert!(refused.to_string().contains(expected), "{refused}");
    for wrong in ["2", "-1", "0.1234567", "half", ""] {
        let refused = Source::new(MODEL).threshold("POSITIVE", wrong).change_metadata().expect_err("refused");
        assert!(refused.to_string().contains("expected 0 to 1 with at most 6 decimals"), "{refused}");
    }
    // A file of another packer.
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/classifier");
    let checkpoint = electra_pack::hugging_face::read(&fixture).expect("a fixture");
    let packed = electra_pack::model_file::pack(&checkpoint, &[("threshold.positive", "most")]);
    let path = folder.path().join("wrong.electra");
    fs::write(&path, packed.expect("packed").bytes).expect("written");
    let refused = run(&["classify", "x", "--model", path.to_str().expect("UTF-8")]);
    expect_code(&refused, 1);
    assert!(stderr(&refused).contains("the threshold of a label is not a number"), "{}", stderr(&refused));
}

/// The thresholds that an evaluation prints give the wanted accuracy when they are packed.
#[test]
fn thresholds_of_an_evaluation_keep_their_promise() {
    let folder = tempfile::tempdir().expect("a folder");
    let table = folder.path().join("labelled.tsv");
    let mut rows = "text\tlabel\n".to_owned();
    // Each of the texts has a label, and some of the labels are wrong on purpose.
    for (index, word) in
        ["great", "good", "fine", "okay", "nice", "decent", "superb", "lovely"].iter().enumerate()
    {
        let label = if index % 4 == 3 { "NEGATIVE" } else { "POSITIVE" };
        rows.push_str(&format!("The film is {word}.\t{label}\nThe {word} film bored me.\tNEGATIVE\n"));
    }
    fs::write(&table, rows).expect("written");
    let input = table.to_str().expect("UTF-8");
    let picture = folder.path().join("curve.svg");
    let curve = picture.to_str().expect("UTF-8");
    let report =
        json(&["evaluate", "--input", input, "--target-accuracy", "0.9", "--curve", curve, "--json"]);
    let found = report["thresholds"].as_array().expect("a list").clone();
    assert_eq!(found.len(), 3);
    let mut chosen = Vec::new();
    for threshold in &found {
        let label = threshold["label"].as_str().expect("a label").to_owned();
        let score = threshold["threshold"].as_f64().map_or_else(|| "1".to_owned(), |score| score.to_string());
        chosen.push((label, score));
    }
    let chosen: Vec<_> = chosen.iter().map(|(label, score)| (label.as_str(), score.as_str())).collect();
    let model = with_thresholds(folder.path(), &chosen);
    let limited = json(&["evaluate", "--input", input, "--model", &model, "--json"]);
    let kept: u64 = found.iter().map(|threshold| threshold["answered"].as_u64().expect("a number")).sum();
    assert_eq!(limited["answered"].as_u64(), Some(kept));
    assert!(kept < limited["texts"].as_u64().expect("a number"), "{report}");
    assert!(limited["answered_accuracy"].as_f64().expect("a number") >= 0.9, "{limited}");
    assert_eq!(limited["accuracy"], report["accuracy"]);
    let svg = fs::read_to_string(&picture).expect("a picture");
    assert!(svg.starts_with("<svg") && svg.contains("coverage"), "{svg}");

    let printed = stdout(&run(&["evaluate", "--input", input, "--target-accuracy", "0.9"]));
    assert!(printed.contains("for electra pack: --threshold "), "{printed}");
    let printed = stdout(&run(&["evaluate", "--input", input, "--model", &model]));
    assert!(printed.contains("the others are UNSURE"), "{printed}");
    for wrong in ["0", "1.5", "x"] {
        expect_code(&run(&["evaluate", "--input", input, "--target-accuracy", wrong]), 2);
    }
}
