//! Tests of `electra explain` as users call it.

mod common;
#[path = "common/models.rs"]
mod models;

use std::fs;
use std::process::Stdio;

use common::{SENTENCE, electra, expect_code, run, run_with, stderr, stdout};
use serde_json::Value;

const DETECTOR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/electra-small-rtd/model.electra");

fn json(args: &[&str]) -> Value {
    let output = run(&[&["explain", "--json"], args].concat());
    expect_code(&output, 0);
    serde_json::from_str(&stdout(&output)).expect("one JSON object")
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

fn parts(answer: &Value) -> &[Value] {
    answer["parts"].as_array().expect("parts")
}

/// Asserts that the contributions add up, that each part is the text at its offsets, and that not
/// too many texts were run.
fn check(answer: &Value, samples: u64) {
    let sum: f64 = parts(answer).iter().map(|part| number(&part["contribution"])).sum();
    assert!((sum - (number(&answer["score"]) - number(&answer["empty_score"]))).abs() < 1e-5, "{answer}");
    let text = answer["text"].as_str().expect("a text");
    for part in parts(answer) {
        let offset =
            |name: &str| usize::try_from(part[name].as_u64().expect("an offset")).expect("an offset");
        assert_eq!(part["text"], text[offset("start")..offset("end")]);
    }
    let most = samples * parts(answer).len() as u64 + 2;
    assert!(answer["runs"].as_u64().is_some_and(|runs| (2..=most).contains(&runs)), "{answer}");
}

#[test]
fn the_label_and_its_scores_are_those_of_classify() {
    let classify = |args: &[&str]| -> Value {
        let output = run(&[&["classify", "--json"], args].concat());
        serde_json::from_str(&stdout(&output)).expect("one JSON object")
    };
    for args in [&[SENTENCE][..], &[SENTENCE, "--without", "positive"], &["  spaces  around \t it\n"]] {
        let (explained, expected) = (json(args), classify(args));
        check(&explained, 16);
        assert_eq!(explained["text"], expected["text"]);
        assert_eq!((&explained["label"], &explained["score"]), (&expected["label"], &expected["score"]));
        let empty = classify(&[&[""], &args[1..]].concat());
        let scores = empty["scores"].as_array().expect("scores");
        let of_label = scores.iter().find(|score| score["label"] == explained["label"]).expect("the label");
        assert_eq!(explained["empty_score"], of_label["score"]);
    }
    let negative = json(&[SENTENCE, "--label", "negative"]);
    assert_eq!(negative["label"], "NEGATIVE");
    assert!(number(&negative["score"]) < 0.1);
    check(&negative, 16);
}

#[test]
fn neither_threads_nor_engines_change_a_contribution() {
    let expected = json(&[SENTENCE, "--samples", "4"]);
    assert_eq!(parts(&expected).len(), 6);
    assert!(parts(&expected).iter().all(|part| number(&part["standard_error"]) >= 0.0));
    for engine in electra::EngineKind::ALL {
        for more in [&["--threads", "1"][..], &["--threads", "3"], &["--arena-bytes", "1131840"]] {
            let args = [&[SENTENCE, "--samples", "4", "--engine", engine.name()], more].concat();
            assert_eq!(json(&args), expected, "{args:?}");
        }
    }
    assert_ne!(json(&[SENTENCE, "--samples", "4", "--seed", "2"]), expected);
}

/// 16 permutations of six words would run 98 texts at most, but there are only 64 sets of six
/// words. A single pair of permutations has no standard error.
#[test]
fn few_words_are_exact_and_one_pair_has_no_error() {
    let exact = json(&[SENTENCE]);
    assert_eq!((exact["samples"].as_u64(), exact["runs"].as_u64()), (Some(0), Some(64)));
    assert!(parts(&exact).iter().all(|part| number(&part["standard_error"]) == 0.0));
    assert_eq!(exact, json(&[SENTENCE, "--seed", "2"]));
    let pair = json(&[SENTENCE, "--samples", "2"]);
    check(&pair, 2);
    assert_eq!(pair["samples"].as_u64(), Some(2));
    assert!(parts(&pair).iter().all(|part| part["standard_error"].is_null()));
    let one = json(&["superb"]);
    check(&one, 16);
    assert_eq!((parts(&one).len(), one["runs"].as_u64()), (1, Some(2)));
}

#[test]
fn a_text_without_words_has_no_parts() {
    for text in ["", " \t\u{3000}"] {
        let answer = json(&[text]);
        check(&answer, 16);
        assert!(parts(&answer).is_empty());
        assert_eq!(answer["score"], answer["empty_score"]);
        expect_code(&run(&["explain", text]), 0);
    }
}

#[test]
fn ideographs_are_words() {
    let answer = json(&["他说：好。 ok"]);
    let texts: Vec<_> = parts(&answer).iter().map(|part| part["text"].clone()).collect();
    assert_eq!(texts, ["他", "说：", "好。", "ok"]);
    check(&answer, 16);
}

/// The model of the fixtures is small enough for the windows of so long a text.
#[test]
fn a_long_text_is_explained_by_phrases() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = models::with_last_layer(folder.path(), "classifier", |_, _| ());
    let text = "the film and, a word. ".repeat(1000);
    let answer = json(&[&text, "--model", &model, "--samples", "2"]);
    check(&answer, 2);
    assert_eq!(parts(&answer).len(), 24);
    assert!(answer["windows"].as_u64().is_some_and(|windows| windows > 1));
    assert!(parts(&answer).iter().all(|part| part["text"].as_str().is_some_and(|text| text.len() > 800)));
    let output = run(&["explain", &text, "--model", &model, "--samples", "2", "--truncate"]);
    let summary = stdout(&output).lines().next().unwrap_or_default().to_owned();
    assert!(summary.contains("; cut to ") && summary.contains(" for 24 parts of 5000 words, "), "{summary}");
    let rows = stdout(&output).lines().skip(3).map(|row| row.chars().count()).max();
    assert!(rows.is_some_and(|widest| widest < 120), "{rows:?}");

    let words = "the ".repeat(30);
    assert_eq!(parts(&json(&[&words, "--model", &model])).len(), 24);
    let each = json(&[&words, "--model", &model, "--words", "--samples", "2"]);
    assert_eq!(parts(&each).len(), 30);
    check(&each, 2);
}

#[test]
fn the_table_has_a_row_per_word() {
    let output = run(&["explain", SENTENCE, "--seed", "3"]);
    expect_code(&output, 0);
    let text = stdout(&output);
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].starts_with("[POSITIVE] (Score: 0.9421; empty text: 0."), "{text}");
    assert!(
        lines[0].contains(") 64 texts run, ") && lines[0].ends_with(" times the time of the text"),
        "{text}"
    );
    assert_eq!((lines[1], lines[2]), (SENTENCE, ""));
    let answer = json(&[SENTENCE]);
    assert_eq!(lines.len(), 3 + parts(&answer).len());
    for (line, part) in lines[3..].iter().zip(parts(&answer)) {
        assert!(line.starts_with(&format!("  {:+.4} ± ", number(&part["contribution"]))), "{line}");
        assert!(line.ends_with(&format!("  {}", part["text"].as_str().expect("a text"))), "{line}");
    }
    assert!(!text.contains('\u{1b}'), "no colours in a pipe");
    let output = run(&["explain", "two\nlines and \u{1b}[31m colour\u{9b}"]);
    assert!(!stdout(&output).contains(['\u{1b}', '\u{9b}']));
    assert_eq!(stdout(&output).lines().count(), 3 + 5);
}

#[test]
fn the_picture_is_well_formed() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("words.svg");
    let name = path.to_str().expect("UTF-8");
    let text = format!("<b> & \"q\" 'x' ]]> &amp; \u{1}\u{ffff} {} 好好 end", "long".repeat(100));
    for text in [text.as_str(), "", &"word ".repeat(200)] {
        expect_code(&run(&["explain", text, "--samples", "2", "--svg", name]), 0);
        let picture = fs::read_to_string(&path).expect("drawn");
        assert!(picture.starts_with("<svg"));
        let words = read_xml(&picture);
        for word in text.split_whitespace().filter(|word| word.len() < 20 && word.is_ascii()) {
            assert!(words.iter().any(|drawn| drawn == &word.replace('\u{1}', " ")), "{word}: {words:?}");
        }
    }
    fs::write(&path, "a text").expect("written");
    expect_code(&run(&["explain", SENTENCE, "--svg", name]), 1);
    assert_eq!(fs::read_to_string(&path).expect("readable"), "a text");
}

/// Reads XML of elements with attributes and text (XML 1.0) and returns the texts. Fails on
/// anything that is not well-formed.
fn read_xml(xml: &str) -> Vec<String> {
    let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
    assert!(xml.chars().all(allowed), "a character that XML does not allow");
    let unescape = |text: &str| {
        let mut plain = text.to_owned();
        for (entity, c) in
            [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "\u{0}")]
        {
            plain = plain.replace(entity, c);
        }
        assert!(!plain.contains('&'), "{text}: '&' that begins no entity");
        plain.replace('\u{0}', "&")
    };
    let (mut open, mut texts) = (Vec::new(), Vec::new());
    for piece in xml.trim().split('<').skip(1) {
        let (tag, text) = piece.split_once('>').expect("a tag ends");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
        } else {
            assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
            let name = tag.split([' ', '/']).next().expect("a name");
            if !tag.ends_with('/') {
                open.push(name);
            }
        }
        assert!(!text.contains('>'), "{text}");
        assert!(!open.is_empty() || text.is_empty(), "text after the last element: {text}");
        texts.push(unescape(text).trim_matches('\n').to_owned());
    }
    assert!(open.is_empty(), "not closed: {open:?}");
    texts
}

#[test]
fn one_text_is_read_from_an_input() {
    let expected = json(&[SENTENCE]);
    let input = format!("{SENTENCE}\n");
    let output = run_with(&["explain", "--json", "--input", "-"], input.as_bytes());
    assert_eq!(serde_json::from_str::<Value>(&stdout(&output)).expect("JSON"), expected);
    let input = b"{\"text\": \"Two\\nlines.\"}\n";
    expect_code(&run_with(&["explain", "--input", "-", "--format", "jsonl"], input), 0);
    for (input, code, message) in [
        (&b"one\ntwo\n"[..], 2, "standard input, line 2: found a second text, expected one; pass a text of"),
        (b"", 1, "standard input: content: found nothing"),
        (b"bad \xff film\n", 1, "standard input, line 1: found the byte 0xff after 4 bytes"),
    ] {
        let output = run_with(&["explain", "--input", "-"], input);
        expect_code(&output, code);
        assert!(stderr(&output).contains(message), "{}", stderr(&output));
        assert_eq!(stdout(&output), "");
    }
    let output = run_with(&["explain", "--input", "-", "--format", "csv"], b"text\n");
    expect_code(&output, 1);
    assert!(stderr(&output).contains("standard input: found no text, expected one"), "{}", stderr(&output));
}

#[test]
fn wrong_use_names_the_way_out() {
    let output = run(&["explain", SENTENCE, "--model", DETECTOR]);
    expect_code(&output, 1);
    let message =
        "has a head for replaced-token detection, expected one for classification; 'electra detect' shows";
    assert!(stderr(&output).contains(message), "{}", stderr(&output));
    for (args, message) in [
        (&["x", "--label", "GOOD"][..], "--label: found GOOD, expected one of NEGATIVE, NEUTRAL, POSITIVE"),
        (&["x", "--label", "NEUTRAL", "--without", "NEUTRAL"], "expected one of NEGATIVE, POSITIVE"),
        (&["x", "--without", "GOOD"], "label GOOD cannot be left out"),
        (&["x", "--samples", "3"], "expected an even number, 2 to 100000"),
        (&["x", "--samples", "0"], "expected an even number"),
        (&["x", "--seed=-1"], "--seed"),
        (&["x", "y"], "unexpected argument 'y'"),
        (&["x", "--no-such-option"], "unexpected argument"),
        (&[], "<TEXT>"),
    ] {
        let output = run(&[&["explain"], args].concat());
        expect_code(&output, 2);
        assert!(stderr(&output).contains(message), "{args:?}: {}", stderr(&output));
        assert_eq!(stdout(&output), "");
    }
}

#[test]
fn logits_that_overflow_are_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = models::overflowing(folder.path(), "classifier");
    let output = run(&["explain", "the and a", "--model", &model]);
    expect_code(&output, 1);
    assert!(stderr(&output).contains("logit 0 is not finite"), "{}", stderr(&output));
    assert_eq!(stdout(&output), "");
}

#[cfg(unix)]
#[test]
fn an_argument_that_is_not_utf8_is_refused() {
    use std::os::unix::ffi::OsStrExt;
    let text = std::ffi::OsStr::from_bytes(b"bad \xff film");
    let output = electra().arg("explain").arg(text).output().expect("the command starts");
    expect_code(&output, 2);
    assert!(stderr(&output).contains("invalid UTF-8"), "{}", stderr(&output));
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let mut command = electra();
    command.args(["explain", SENTENCE]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("ends");
    expect_code(&output, 0);
    assert!(output.stderr.is_empty(), "{}", stderr(&output));
}
