//! Tests of the other commands as users call them.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{SENTENCE, electra, expect_code, run, run_with, stderr, stdout};
use serde_json::Value;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures");

fn json(args: &[&str]) -> Value {
    let output = run(args);
    expect_code(&output, 0);
    serde_json::from_str(&stdout(&output)).expect("one JSON object")
}

/// Copies a fixture with this architecture into `folder`.
fn copy_of_fixture(architecture: &str, folder: &Path) -> PathBuf {
    let copy = folder.join("copy");
    fs::create_dir(&copy).expect("made");
    for file in fs::read_dir(fixture(architecture)).expect("fixture").flatten() {
        fs::copy(file.path(), copy.join(file.file_name())).expect("copied");
    }
    copy
}

/// Returns the first folder of the fixtures with `config.json` and weights for this architecture.
fn fixture(architecture: &str) -> String {
    let mut folders: Vec<_> = fs::read_dir(FIXTURES).expect("fixtures").flatten().map(|e| e.path()).collect();
    folders.sort();
    let fits = |folder: &&std::path::PathBuf| {
        folder.join("model.safetensors").exists()
            && fs::read_to_string(folder.join("config.json"))
                .is_ok_and(|config| config.contains(architecture))
    };
    let folder = folders.iter().find(fits).expect("a fixture");
    folder.to_str().expect("UTF-8").to_owned()
}

/// The shipped model marks two consecutive prepositions, and nothing in the sentence without the
/// second one.
#[test]
fn a_word_too_many_looks_replaced() {
    let suspected = |text: &str| -> Vec<String> {
        let detection = json(&["detect", text, "--json"]);
        let tokens = detection["tokens"].as_array().expect("tokens").clone();
        let suspected = tokens.into_iter().filter(|token| token["replaced"] == true);
        suspected.map(|token| token["token"].as_str().expect("a text").to_owned()).collect()
    };
    assert_eq!(suspected("He was born in of 1952 and moved to Paris."), ["in", "of"]);
    assert!(suspected("He was born in 1952 and moved to Paris.").is_empty());
}

#[test]
fn packed_models_run_and_explain_themselves() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let (classifier, detector) = (path("classifier.electra"), path("detector.electra"));
    let packed = run(&["pack", &fixture("ElectraForSequenceClassification"), "-o", &classifier]);
    expect_code(&packed, 0);
    assert!(stdout(&packed).contains("electra.encoder.layer.0.attention.self.query.weight"));
    assert!(stdout(&packed).contains("bytes of weights"));
    let report = json(&["pack", &fixture("ElectraForPreTraining"), "-o", &detector, "--json"]);
    assert_eq!(report["output_bytes"].as_u64(), fs::metadata(&detector).ok().map(|m| m.len()));

    let output = run(&["classify", SENTENCE, "--model", &classifier, "--json"]);
    expect_code(&output, 0);
    let detection = json(&["detect", "The chef ate the meal.", "--model", &detector, "--json"]);
    let tokens = detection["tokens"].as_array().expect("tokens");
    assert!(!tokens.is_empty());
    for token in tokens {
        let probability = token["probability"].as_f64().expect("a number");
        assert_eq!(token["replaced"].as_bool(), Some(probability > 0.5));
    }
    let text = stdout(&run(&["detect", "The chef ate the meal.", "--model", &detector]));
    assert_eq!(text.lines().count(), 1 + tokens.len());
    assert!(!text.contains('\u{1b}'), "no colours in a pipe");

    let output =
        electra().args(["detect", "x"]).env("ELECTRA_MODEL", &classifier).output().expect("it starts");
    expect_code(&output, 1);
    assert!(stderr(&output).contains("expected one for replaced-token detection"), "{}", stderr(&output));

    let unnamed = json(&["inspect", &classifier, "--json"]);
    assert!(unnamed["metadata"]["language"].is_null(), "{unnamed}");
    let german = path("german.electra");
    let source = fixture("ElectraForSequenceClassification");
    expect_code(&run(&["pack", &source, "-o", &german, "--language", "de-CH"]), 0);
    assert!(stdout(&run(&["inspect", &german])).contains("\n  language: de-CH\n"));
    assert_eq!(json(&["inspect", &german, "--json"])["metadata"]["language"], "de-CH");
    for wrong in ["", "d", "german language", "de_CH", "de-", "12", "de\nname=x", "Deutschland"] {
        let refused = run(&["pack", &source, "-o", &path("refused.electra"), "--language", wrong]);
        expect_code(&refused, 2);
        assert!(stderr(&refused).contains("expected a language tag, for example en"), "{wrong}");
    }

    let inspected = json(&["inspect", &classifier, "--json"]);
    assert_eq!(inspected["config"]["head"], "classification");
    assert_eq!(inspected["sections"].as_array().map(Vec::len), Some(7));
    assert!(stdout(&run(&["inspect", &detector])).contains("replaced-token detection"));
}

#[test]
fn a_damaged_model_is_refused_by_section() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.electra");
    let name = path.to_str().expect("UTF-8");
    expect_code(&run(&["pack", &fixture("ElectraForSequenceClassification"), "-o", name]), 0);
    let bytes = fs::read(&path).expect("readable");
    let refuse = |bytes: &[u8], message: &str| {
        fs::write(&path, bytes).expect("written");
        let output = run(&["inspect", name]);
        expect_code(&output, 1);
        assert!(stderr(&output).contains(message) && stderr(&output).contains(name), "{}", stderr(&output));
    };
    let mut damaged = bytes.clone();
    let last = damaged.len() - 100;
    damaged[last] ^= 1;
    refuse(&damaged, "section head: checksum mismatch");
    refuse(&bytes[..bytes.len() - 1], "truncated");
    let mut other = bytes.clone();
    other[12] = 9;
    refuse(&other, "format version 9 found, 2 expected");
    let mut big_endian = bytes.clone();
    big_endian[8..12].reverse();
    refuse(&big_endian, "big-endian");
}

/// Checks that a model overwrites neither its source nor other files beside it.
#[cfg(unix)]
#[test]
fn pack_replaces_models_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let copy = copy_of_fixture("ElectraForSequenceClassification", folder.path());
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let source = copy.to_str().expect("UTF-8");
    let weights = fs::read(copy.join("model.safetensors")).expect("weights");
    let of_source = format!("{source}/model.safetensors");
    let of_weights = format!("{source}/model-00002-of-00002.safetensors");
    let (of_vocabulary, of_config) = (format!("{source}/vocab.txt"), format!("{source}/config.json"));
    fs::write(&of_weights, "a part of them").expect("written");
    std::os::unix::fs::symlink("nothing", path("dangling")).expect("a link");
    let dev_null = "/dev/null".to_owned();
    for (output, message) in [
        (&of_source, "is a file of another kind, expected a new file or a model file to replace"),
        (&of_weights, "is a file of another kind, expected a new file or a model file to replace"),
        (&of_vocabulary, "is a file of another kind"),
        (&of_config, "is a file of another kind"),
        (&path("dangling"), "is a broken link"),
        (&path(""), "is a directory"),
        (&dev_null, "is not a regular file"),
    ] {
        let refused = run(&["pack", source, "-o", output]);
        expect_code(&refused, 1);
        assert!(stderr(&refused).contains(message), "{}", stderr(&refused));
    }
    let onnx = Path::new(FIXTURES).join("detector/torchscript.onnx");
    for name in ["torchscript.onnx", "torchscript.onnx.data"] {
        fs::copy(Path::new(FIXTURES).join("detector").join(name), copy.join(name)).expect("copied");
    }
    let external = format!("{source}/torchscript.onnx.data");
    for output in [&external, &of_vocabulary] {
        let refused = run(&["pack", &format!("{source}/torchscript.onnx"), "-o", output]);
        expect_code(&refused, 1);
        assert!(stderr(&refused).contains("is a file of another kind"), "{}", stderr(&refused));
    }
    assert_eq!(fs::read(external).expect("data"), fs::read(onnx.with_extension("onnx.data")).expect("data"));
    expect_code(&run(&["footprint", "--svg", &of_config]), 1);
    assert_eq!(fs::read(copy.join("model.safetensors")).expect("weights"), weights);
    fs::remove_file(of_weights).expect("removed");

    fs::write(path("model.electra.partial"), "somebody's").expect("written");
    expect_code(&run(&["pack", source, "-o", &path("model.electra"), "--name", "an older one"]), 0);
    std::os::unix::fs::symlink("model.electra", path("current")).expect("a link");
    expect_code(&run(&["pack", source, "-o", &path("current")]), 0);
    expect_code(&run(&["inspect", &path("model.electra")]), 0);
    assert!(fs::symlink_metadata(path("current")).is_ok_and(|link| link.is_symlink()));
    assert_eq!(fs::read_to_string(path("model.electra.partial")).expect("still there"), "somebody's");
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 5);

    let config = copy.join("config.json");
    let document = fs::read_to_string(&config).expect("a config");
    let mut document: Value = serde_json::from_str(&document).expect("JSON");
    for labels in [["same", "same"], ["", "b"], ["a", "b\u{1b}[31m"]] {
        document["id2label"] = serde_json::json!({ "0": labels[0], "1": labels[1], "2": "c" });
        document["label2id"] = Value::Null;
        fs::write(&config, document.to_string()).expect("written");
        let refused = run(&["pack", source, "-o", &path("model.electra")]);
        expect_code(&refused, 1);
        assert!(stderr(&refused).contains("expected a unique name"), "{}", stderr(&refused));
    }
}

#[test]
fn pack_gives_the_same_wherever_it_is_called() {
    let folder = tempfile::tempdir().expect("a folder");
    let fixture = Path::new(FIXTURES).join("classifier");
    let inside = folder.path().join("hf/ONNX");
    fs::create_dir_all(&inside).expect("made");
    for (from, to) in
        [("config.json", "../config.json"), ("vocab.txt", "../vocab.txt"), ("torchscript.onnx", "model.onnx")]
    {
        fs::copy(fixture.join(from), inside.join(to)).expect("copied");
    }
    let packed = |at: &Path, model: &str| {
        let out = folder.path().join("out.electra");
        let args = ["pack", model, "--name", "x", "-o", out.to_str().expect("UTF-8")];
        let output = common::electra().args(args).current_dir(at).output().expect("starts");
        expect_code(&output, 0);
        fs::read(out).expect("a model")
    };
    let outside = packed(folder.path(), "hf/ONNX/model.onnx");
    for model in ["model.onnx", "./model.onnx", "../ONNX/model.onnx"] {
        assert!(packed(&inside, model) == outside, "{model}");
    }
}

#[test]
fn pack_refuses_unsupported_input() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out.electra");
    let out = out.to_str().expect("UTF-8");
    let output = run(&["pack", folder.path().to_str().expect("UTF-8"), "-o", out]);
    expect_code(&output, 1);
    assert!(stderr(&output).contains("config.json"), "{}", stderr(&output));
    let copy = copy_of_fixture("ElectraForSequenceClassification", folder.path());
    let config = copy.join("config.json");
    let text = fs::read_to_string(&config).expect("readable").replace("\"gelu\"", "\"relu\"");
    fs::write(&config, text).expect("written");
    let output = run(&["pack", copy.to_str().expect("UTF-8"), "-o", out]);
    expect_code(&output, 1);
    assert!(
        stderr(&output).contains("hidden_act") && stderr(&output).contains("relu"),
        "{}",
        stderr(&output)
    );
    assert!(!Path::new(out).exists(), "nothing is left behind");
    expect_code(&run(&["pack", copy.to_str().expect("UTF-8"), "-o", out, "--vocab", "v.txt"]), 2);
}

#[test]
fn evaluate_reports_the_figures() {
    let input = b"sentence\tlabel\na wonderful film\t2\na terrible mess\t0\nwonderful\t2\nodd\t7\n";
    let output = run_with(&["evaluate", "--input", "-", "--format", "tsv", "--json"], input);
    expect_code(&output, 1);
    assert!(
        stderr(&output).contains("line 5: label: found '7', expected 0 to 2, the indices of the labels"),
        "{}",
        stderr(&output)
    );
    let report: Value = serde_json::from_str(&stdout(&output)).expect("JSON");
    assert_eq!((report["texts"].as_u64(), report["left_out"].as_u64()), (Some(3), Some(1)));
    assert_eq!(report["accuracy"].as_f64(), Some(1.0));
    assert_eq!(report["confusion"][2][2].as_u64(), Some(2));
    assert!(report["latency_ms"]["p99"].as_f64().is_some_and(|p99| p99 > 0.0));
    let output = run_with(&["evaluate", "--input", "-", "--format", "tsv"], &input[..57]);
    assert!(stdout(&output).contains("95 % interval"), "{}", stdout(&output));
}

#[test]
fn tokenize_shows_pieces_ids_and_offsets() {
    let output = run(&["tokenize", "naïve [MASK]"]);
    assert_eq!(stdout(&output), "[CLS]:101 naive:15743 [MASK]:103 [SEP]:102\n");
    let tokens = json(&["tokenize", "naïve [MASK]", "--json"]);
    assert_eq!(tokens["tokens"][0]["end"].as_u64(), Some(6));
    assert_eq!(tokens["tokens"][1]["start"].as_u64(), Some(7));
}

#[test]
fn footprint_adds_up_and_draws() {
    let folder = tempfile::tempdir().expect("a folder");
    let svg = folder.path().join("arena.svg");
    let svg_name = svg.to_str().expect("UTF-8");
    let report = json(&["footprint", "--max-tokens", "128", "--json", "--svg", svg_name]);
    let parts = report["arena_parts"].as_array().expect("parts");
    let phase = |name: &str| -> u64 {
        let of = parts.iter().filter(|part| part["phase"] == name);
        of.filter_map(|part| part["bytes"].as_u64()).map(|bytes| bytes.next_multiple_of(64)).sum()
    };
    let scratch = ["embedding", "attention", "feed-forward", "head"].map(phase);
    let largest = scratch.iter().max().copied().unwrap_or(0);
    assert_eq!(report["arena_bytes"].as_u64(), Some(phase("whole run") + largest));
    assert!(report["arena_bytes"].as_u64().is_some_and(|bytes| bytes <= 450_000));
    let picture = fs::read_to_string(&svg).expect("drawn");
    assert!(picture.starts_with("<svg") && picture.contains("128 tokens"));
    assert!(stdout(&run(&["footprint"])).contains("arena by longest sequence"));
}

#[test]
fn profile_accounts_for_a_run() {
    let report = json(&["profile", SENTENCE, "--tokens", "16", "--runs", "3", "--split", "2", "--json"]);
    let steps = report["steps"].as_array().expect("steps");
    assert_eq!(steps.len(), 1 + 2 * 12 + 1);
    let sum = |field: &str| steps.iter().map(|step| step[field].as_f64().expect("a number")).sum::<f64>();
    assert_eq!(Some(sum("macs")), report["total"]["macs"].as_f64());
    assert!((sum("ms") - report["total"]["ms"].as_f64().expect("a time")).abs() < 1e-6);
    assert_eq!((report["tokens"].as_u64(), report["threads"].as_u64()), (Some(16), Some(2)));
    assert!(report["peak_macs_per_second"].as_f64().is_some_and(|peak| peak > 1e8));
    let work = report["work"].as_array().expect("kinds of work");
    assert_eq!(work[0]["name"], "products");
    assert!(work.iter().all(|kind| kind["ms"].as_f64().is_some_and(|ms| ms > 0.0)), "{work:?}");
    let text = stdout(&run(&["profile", SENTENCE, "--runs", "2"]));
    assert!(text.contains("smallest time of 2 runs") && text.contains("feed-forward GEMMs alone"));
    assert!(text.contains("GELU, quantization") && text.contains("softmax"), "{text}");
    assert_eq!(report["statistic"], "smallest");
    for wrong in
        [&["profile", SENTENCE, "--tokens", "513"][..], &["profile", ""], &["profile", "x", "--runs", "0"]]
    {
        expect_code(&run(wrong), 2);
    }
}
