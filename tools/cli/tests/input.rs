//! Tests of real-world inputs: broken quotes, labels of all kinds, JSON from Python, missing
//! options.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{SENTENCE, electra, expect_code, run_with, stderr, stdout};
use serde_json::{Value, json};

/// A temporary folder with the given files.
struct Files(tempfile::TempDir);

impl Files {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, content) in files {
            fs::write(folder.path().join(name), content).expect("written");
        }
        Self(folder)
    }

    /// Runs the command in the folder.
    fn run(&self, args: &[&str]) -> std::process::Output {
        electra()
            .args(args)
            .current_dir(&self.0)
            .stdin(std::process::Stdio::null())
            .output()
            .expect("the command starts")
    }
}

/// Packs the classifier of the fixtures with other names of its three labels.
fn model_with_labels(folder: &Path, labels: [&str; 3]) -> String {
    let fixture = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/classifier");
    let copy = folder.join("hf");
    fs::create_dir_all(&copy).expect("made");
    for file in ["config.json", "model.safetensors", "vocab.txt"] {
        fs::copy(fixture.join(file), copy.join(file)).expect("copied");
    }
    let config = fs::read_to_string(copy.join("config.json")).expect("readable");
    let mut config: Value = serde_json::from_str(&config).expect("JSON");
    config["id2label"] = json!({"0": labels[0], "1": labels[1], "2": labels[2]});
    fs::write(copy.join("config.json"), config.to_string()).expect("written");
    let model = folder.join("labels.electra").to_str().expect("UTF-8").to_owned();
    let output = common::run(&["pack", copy.to_str().expect("UTF-8"), "-o", &model]);
    expect_code(&output, 0);
    model
}

/// Returns the number of texts with each label: the sums of the rows of the confusion matrix.
fn texts_by_label(output: &std::process::Output) -> Vec<u64> {
    let report: Value = serde_json::from_str(&stdout(output)).expect("JSON");
    let rows = report["confusion"].as_array().expect("rows").iter();
    rows.map(|row| row.as_array().expect("counts").iter().filter_map(Value::as_u64).sum()).collect()
}

#[test]
fn an_unclosed_quote_is_an_error_that_costs_its_line() {
    let text = "text\nA fine film.\n\"A dull mess.\nThird text here.\n";
    let table = "text,label\n\"Great film,1\n\"Bad film,0\nGood,1\n";
    let files = Files::new(&[("one.csv", text), ("two.csv", table)]);
    let output = files.run(&["classify", "--input", "one.csv"]);
    expect_code(&output, 1);
    assert!(stderr(&output).contains("one.csv, line 3: found a quote that opens a field and is not closed"));
    assert_eq!(stdout(&output).lines().count(), 2, "{}", stdout(&output));
    for command in [&["classify"][..], &["evaluate", "--json"]] {
        let output = files.run(&[command, &["--input", "two.csv"]].concat());
        expect_code(&output, 1);
        assert!(stderr(&output).contains("two.csv, line 2: found text after a closing quote"));
        assert!(!stdout(&output).contains("Bad film"), "rows are not merged");
    }
    assert_eq!(texts_by_label(&files.run(&["evaluate", "--json", "--input", "two.csv"])), [0, 1, 0]);
}

#[test]
fn a_column_of_labels_is_read_as_names_or_as_indices() {
    let files = Files::new(&[
        ("index.csv", "text,label\nthe,0\nthe,1\nthe,2\n"),
        ("name.csv", "text,label\nthe,1\nthe,2\nthe,3\n"),
        ("both.csv", "text,label\nthe,1\nthe,2\nthe,2\n"),
    ]);
    let model = model_with_labels(files.0.path(), ["1", "2", "3"]);
    let evaluate = |file: &str, more: &[&str]| {
        let output = files.run(&[&["evaluate", "--json", "--model", &model, "--input", file], more].concat());
        expect_code(&output, 0);
        (texts_by_label(&output), stderr(&output))
    };
    for file in ["index.csv", "name.csv"] {
        assert_eq!(evaluate(file, &[]), (vec![1, 1, 1], String::new()), "{file}");
    }
    let (texts, said) = evaluate("both.csv", &[]);
    assert_eq!(texts, [1, 2, 0]);
    assert!(
        said.contains("column label may be names or indices of labels; they are read as names"),
        "{said}"
    );
    assert_eq!(evaluate("both.csv", &["--label-as", "index"]), (vec![0, 1, 2], String::new()));
    assert_eq!(evaluate("both.csv", &["--label-as", "name"]), (vec![1, 2, 0], String::new()));
    // Standard input cannot be read twice.
    let input = fs::read(files.0.path().join("index.csv")).expect("readable");
    let args = ["evaluate", "--json", "--model", &model, "--input", "-", "--format", "csv"];
    assert_eq!(texts_by_label(&run_with(&args, &input)), [1, 1, 1]);
}

#[test]
fn names_of_labels_are_matched_as_people_write_them() {
    let files = Files::new(&[
        ("case.csv", "text,label\nthe,us\nthe,US\nthe, uk \nthe,Us\n"),
        ("unicode.csv", "text,label\nthe,négatif\nthe,STRASSE\nthe,straße\nthe,Positive\n"),
    ]);
    let evaluate = |labels: [&str; 3], file: &str| {
        let model = model_with_labels(files.0.path(), labels);
        let output = files.run(&["evaluate", "--json", "--model", &model, "--input", file]);
        (texts_by_label(&output), stderr(&output))
    };
    let (texts, said) = evaluate(["us", "US", "uk"], "case.csv");
    assert_eq!(texts, [1, 1, 1]);
    assert!(said.contains("case.csv, line 5: label: found 'Us', expected one of us, US, uk"), "{said}");
    assert_eq!(evaluate(["NÉGATIF", "Straße", "positive"], "unicode.csv"), (vec![1, 2, 1], String::new()));
}

#[test]
fn values_that_are_no_labels_are_named_a_few_times() {
    let mut table = "text,label\nfine,1\n".to_owned();
    table.extend((0..300).map(|row| format!("the,word {}\n", row / 2)));
    let files = Files::new(&[("wrong.csv", &table)]);
    let output = files.run(&["evaluate", "--input", "wrong.csv"]);
    expect_code(&output, 1);
    let said = stderr(&output);
    assert!(said.contains("wrong.csv, line 3 and 1 more rows: label: found 'word 0', expected"), "{said}");
    assert!(said.contains("wrong.csv: 290 more rows have other values in column label"), "{said}");
    assert!(said.contains("300 of 301 rows were left out"), "{said}");
    assert_eq!(said.lines().count(), 7, "{said}");
}

#[test]
fn json_of_a_file_says_which_line_it_answers() {
    let files = Files::new(&[
        ("a.jsonl", "{\"text\":\"fine\", \"rating\": NaN}\n{\"text\":null}\n\n{\"text\":\"bad\"}\n"),
        ("a.csv", "text\n\"two\nlines\"\nbad\n"),
    ]);
    let lines = |args: &[&str]| -> Vec<Option<u64>> {
        let output = files.run(args);
        let line = |line: &str| serde_json::from_str::<Value>(line).expect("JSON")["line"].as_u64();
        stdout(&output).lines().map(line).collect()
    };
    for command in ["classify", "tokenize", "detect"] {
        assert_eq!(lines(&[command, "--json", "--input", "a.jsonl"]), [Some(1), Some(4)], "{command}");
        assert_eq!(lines(&[command, "--json", "--input", "a.csv"]), [Some(2), Some(4)], "{command}");
        assert_eq!(lines(&[command, "--json", "fine"]), [None], "{command}");
    }
    let said = stderr(&files.run(&["classify", "--json", "--input", "a.jsonl"]));
    assert!(said.contains("a.jsonl, line 2: text or sentence: found null, expected a string"), "{said}");
}

#[test]
fn a_text_that_was_meant_as_a_file_is_hinted_at() {
    let files = Files::new(&[("reviews.csv", "text\nfine\n")]);
    for command in ["classify", "tokenize"] {
        let output = files.run(&[command, "reviews.csv", "-", SENTENCE]);
        expect_code(&output, 0);
        let said = stderr(&output);
        assert!(said.contains("'reviews.csv' is taken as a text; '--input reviews.csv' reads"), "{said}");
        assert!(said.contains("'-' is taken as a text; '--input -' reads standard input"), "{said}");
        assert_eq!((stdout(&output).lines().count(), said.lines().count()), (3, 2));
    }
}

#[test]
fn labels_that_are_left_out_are_no_answers() {
    let files = Files::new(&[("a.csv", "text,label\nthe,bad\nthe,neutral\nthe,good\n")]);
    let model = model_with_labels(files.0.path(), ["bad", "neutral", "good"]);
    let scores = |args: &[&str]| -> Vec<(String, f64)> {
        let output = files.run(&[&["classify", "--json", "--model", &model, "the film"], args].concat());
        expect_code(&output, 0);
        let answer: Value = serde_json::from_str(&stdout(&output)).expect("JSON");
        assert_eq!(answer["label"], answer["scores"][0]["label"]);
        let entries = answer["scores"].as_array().expect("scores").iter();
        entries.map(|it| (it["label"].as_str().unwrap().into(), it["score"].as_f64().unwrap())).collect()
    };
    let (all, two) = (scores(&[]), scores(&["--without", "Neutral"]));
    assert_eq!((all.len(), two.len()), (3, 2));
    let kept: Vec<_> = all.iter().filter(|(label, _)| label != "neutral").collect();
    let total: f64 = kept.iter().map(|(_, score)| score).sum();
    for ((label, score), (expected, whole)) in two.iter().zip(kept) {
        assert!(label == expected && (score - whole / total).abs() < 1e-6, "{label} {score} {whole}");
    }
    let args = ["evaluate", "--json", "--model", &model, "--input", "a.csv", "--without", "neutral"];
    let output = files.run(&args);
    expect_code(&output, 1);
    assert_eq!(texts_by_label(&output), [1, 1]);
    assert!(stderr(&output).contains("a.csv, line 3: label: found 'neutral', expected one of bad, good"));
    // Indices count the labels that are answers, or all labels of the model if one needs that.
    for (rows, kept) in [("the,0\nthe,1\n", [1, 1]), ("the,0\nthe,2\nthe,2\n", [1, 2])] {
        let files = Files::new(&[("b.csv", &format!("text,label\n{rows}"))]);
        let args = ["evaluate", "--json", "--model", &model, "--input", "b.csv", "--without", "neutral"];
        let output = files.run(&args);
        expect_code(&output, 0);
        assert_eq!(texts_by_label(&output), kept, "{rows}");
    }
    for wrong in [&["--without", "mixed"][..], &["--without", "good", "--without", "bad"]] {
        let output = files.run(&[&["classify", "--model", &model, "the"], wrong].concat());
        expect_code(&output, 2);
        let said = stderr(&output);
        assert!(said.contains("cannot be left out: the model has bad, neutral, good, and"), "{said}");
    }
}

#[test]
fn foreign_text_in_messages_does_not_steer_the_terminal() {
    let header = format!("{}\u{1b}]0;owned\u{7}\u{1b}[2J\n1\n", "column,".repeat(100_000));
    let files = Files::new(&[("a.csv", "\u{1b}]0;owned\u{7},x\n1,2\n"), ("long.csv", &header)]);
    fs::write(files.0.path().join("\u{1b}[2J.csv"), "x\n").expect("written");
    for name in ["a.csv", "long.csv", "\u{1b}[2J.csv"] {
        let output = files.run(&["classify", "--input", name]);
        expect_code(&output, 1);
        let said = stderr(&output);
        assert!(!said.contains('\u{1b}') && !said.contains('\u{7}') && said.len() < 600, "{said:?}");
    }
}

#[test]
fn other_delimiters_are_hinted_at_and_read() {
    let files = Files::new(&[("a.csv", "label;text\n1;a fine film, truly\n")]);
    let output = files.run(&["evaluate", "--input", "a.csv"]);
    expect_code(&output, 1);
    let said = stderr(&output);
    assert!(said.contains("seem to be separated by ';': --delimiter names it"), "{said}");
    let output = files.run(&["evaluate", "--json", "--input", "a.csv", "--delimiter", ";"]);
    expect_code(&output, 0);
    assert_eq!(texts_by_label(&output), [0, 1, 0]);
    for wrong in ["", "ab", "é", "\""] {
        let output = files.run(&["classify", "--input", "a.csv", "--delimiter", wrong]);
        expect_code(&output, 2);
        assert!(stderr(&output).contains("expected one ASCII character, or 'tab'"));
    }
    let output = files.run(&["classify", "--input", "a.csv", "--top-k", "0"]);
    assert!(stderr(&output).contains("expected a number of labels, at least 1"), "{}", stderr(&output));
}
