//! A student learns from a teacher, through the command as a user runs it, on a small made-up
//! language.

mod common;
#[path = "common/distillation.rs"]
mod distillation;
#[path = "common/pretraining.rs"]
mod pretraining;
#[path = "common/task.rs"]
mod task;

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use common::{electra_train, metrics, refused, run, text};
use distillation::write_distillation;
use electra_train::model::folder::{WeightKind, read_tensors, write_tensors};
use serde_json::Value;

/// Returns the first and the last value of a figure in a run's log.
fn ends(output: &Path, name: &str) -> (f64, f64) {
    let values: Vec<f64> = metrics(output).iter().filter_map(|line| line[name].as_f64()).collect();
    (values[0], values[values.len() - 1])
}

#[test]
fn a_student_comes_up_to_its_teacher() {
    let root = tempfile::tempdir().unwrap();
    let settings = write_distillation(root.path());
    let output = root.path().join("student");
    run(&["distil", text(&settings), "-o", text(&output)]);
    let summary: Value =
        serde_json::from_str(&fs::read_to_string(output.join("summary.json")).unwrap()).unwrap();
    assert!(summary["teacher"]["accuracy"].as_f64().unwrap() > 0.9, "{summary}");
    assert!(summary["student"]["accuracy"].as_f64().unwrap() > 0.9, "{summary}");
    // A student that is fitted to the teacher is good before the first step; one with random
    // weights is not.
    assert!(ends(&output, "dev_accuracy").0 > 0.8, "{:?}", metrics(&output));
    for figure in ["soft_loss", "hidden_loss", "relation_loss"] {
        let (first, last) = ends(&output, figure);
        assert!(last < first, "{figure}: {first} to {last}");
    }
    let random = root.path().join("random");
    let changes = ["--set", "student.start=random", "--set", "training.steps=20"];
    run(&[&["distil", text(&settings), "-o", text(&random)][..], &changes].concat());
    assert!(ends(&random, "dev_accuracy").0 < 0.7);
    assert!(ends(&random, "hidden_loss").0 > 2.0 * ends(&output, "hidden_loss").0);

    // The folder is a classifier that has no parameters of the run.
    let dev = root.path().join("dev.tsv");
    let model = output.join("model");
    let arguments = ["evaluate", text(&model), text(&dev), "--text", "sentence", "--json"];
    let found: Value = serde_json::from_str(&run(&arguments)).unwrap();
    assert_eq!(found["accuracy"], summary["student"]["accuracy"]);
    let weights = fs::read(model.join("model.safetensors")).unwrap();
    assert!(!weights.windows(7).any(|it| it == b"distil/"));

    // A killed run continues to the same figures.
    let killed = root.path().join("killed");
    let mut child = electra_train(&["distil", text(&settings), "-o", text(&killed)]).spawn().unwrap();
    while !killed.join("checkpoints/step-20").exists() {
        assert_eq!(child.try_wait().unwrap(), None, "it ended before it could be killed");
        sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    run(&["distil", text(&settings), "-o", text(&killed)]);
    assert_eq!(metrics(&output), metrics(&killed));

    // The choice of the student that is kept may change after the run.
    let last = ["--set", "run.keep=last"];
    run(&[&["distil", text(&settings), "-o", text(&killed)][..], &last].concat());
    let kept: Value =
        serde_json::from_str(&fs::read_to_string(killed.join("summary.json")).unwrap()).unwrap();
    assert_eq!(kept["step"], 60);
    assert_eq!(kept["student"]["loss"].as_f64().unwrap(), ends(&output, "dev_loss").1);

    // The student of a run is the start of another one.
    let more = root.path().join("more");
    let folder = format!("student.folder={}", text(&model));
    let changes = ["--set", &folder, "--set", "training.steps=20", "--set", "training.precision=bf16"];
    run(&[&["distil", text(&settings), "-o", text(&more)][..], &changes].concat());
    assert!(ends(&more, "dev_accuracy").0 > 0.9);
    // The maps to the teacher's states are not part of a model, so they are fitted again.
    let (begun, before) = (ends(&more, "hidden_loss").0, ends(&output, "hidden_loss").0);
    assert!(begun < 0.7 * before, "{begun} {before}");

    // A second teacher that knows nothing halves the certainty of the first and changes none of its
    // labels.
    let doubtful = root.path().join("doubtful");
    let teachers = format!("teacher.others={:?}", [ignorant(root.path(), &model)]);
    let short = ["--set", "training.steps=1", "--set", "training.warmup_steps=1"];
    let changes = [&["--set", &folder, "--set", &teachers][..], &short].concat();
    run(&[&["distil", text(&settings), "-o", text(&doubtful)][..], &changes].concat());
    let together: Value =
        serde_json::from_str(&fs::read_to_string(doubtful.join("summary.json")).unwrap()).unwrap();
    assert_eq!(together["teacher"]["accuracy"], summary["teacher"]["accuracy"]);
    let loss = |summary: &Value| summary["teacher"]["loss"].as_f64().unwrap();
    assert!(loss(&together) > 0.2 && loss(&together) < 0.5 && loss(&summary) < 0.2, "{together} {summary}");
    assert!(ends(&doubtful, "soft_loss").0 > 2.0 * ends(&more, "soft_loss").0);
    a_temperature_changes_scores_and_no_label(root.path(), &model, &dev);
    a_student_that_cannot_be_packed_is_announced(root.path(), &settings);
    bad_inputs_are_named(root.path(), &settings);
}

/// Makes a copy of the classifier `model` whose logits are all zero, and returns the path of its
/// folder.
fn ignorant(root: &Path, model: &Path) -> String {
    let folder = root.join("ignorant");
    fs::create_dir(&folder).unwrap();
    let weights = read_tensors(&model.join("model.safetensors")).unwrap();
    for (name, tensor) in &weights {
        if name.starts_with("classifier.out_proj.") {
            let _zero = tensor.shallow_clone().zero_();
        }
    }
    write_tensors(&folder.join("model.safetensors"), &weights, WeightKind::F32).unwrap();
    for name in ["config.json", "vocab.txt"] {
        fs::copy(model.join(name), folder.join(name)).unwrap();
    }
    text(&folder).to_owned()
}

/// Every third label of the file is wrong, so the scores, which are all near 1, must decrease.
fn a_temperature_changes_scores_and_no_label(root: &Path, model: &Path, dev: &Path) {
    let content = fs::read_to_string(dev).unwrap();
    let mut lines: Vec<String> = content.lines().map(str::to_owned).collect();
    for line in lines.iter_mut().skip(1).step_by(3) {
        let label = line.pop().unwrap();
        line.push(if label == '1' { '0' } else { '1' });
    }
    let noisy = root.join("noisy.tsv");
    fs::write(&noisy, lines.join("\n")).unwrap();
    let output = root.join("calibrated");
    let said = run(&["calibrate", text(model), text(&noisy), "-o", text(&output), "--text", "sentence"]);
    assert!(said.starts_with("temperature "), "{said}");
    let evaluate = |folder: &Path| -> Value {
        serde_json::from_str(&run(&["evaluate", text(folder), text(&noisy), "--text", "sentence", "--json"]))
            .unwrap()
    };
    let (before, after) = (evaluate(model), evaluate(&output));
    assert_eq!(before["accuracy"], after["accuracy"]);
    let error = |metrics: &Value| metrics["calibration_error"].as_f64().unwrap();
    assert!(error(&after) < 0.1 && error(&before) > 0.2, "{before} {after}");
}

/// The warning comes before the teacher is read, not after the training.
fn a_student_that_cannot_be_packed_is_announced(root: &Path, settings: &Path) {
    let output = root.join("odd");
    let changes = ["--set", "model.embedding_size=24", "--set", "teacher.folder=none"];
    let arguments = [&["distil", text(settings), "-o", text(&output)][..], &changes].concat();
    let said = electra_train(&arguments).output().unwrap().stderr;
    let said = String::from_utf8(said).unwrap();
    let expected = "warning: electra pack will not accept the result: model: embedding_size: found 24, expected a multiple of 16";
    assert!(said.contains(expected), "{said}");
}

fn bad_inputs_are_named(root: &Path, settings: &Path) {
    let with = |change: &str| {
        let output = root.join("refused");
        let message = refused(&["distil", text(settings), "-o", text(&output), "--set", change]);
        let _ = fs::remove_dir_all(&output);
        message
    };
    let other = root.join("other");
    fs::create_dir(&other).unwrap();
    for name in ["config.json", "model.safetensors", "vocab.txt"] {
        fs::copy(root.join("student/model").join(name), other.join(name)).unwrap();
    }
    let headless = root.join("headless");
    fs::create_dir(&headless).unwrap();
    for name in ["config.json", "vocab.txt"] {
        fs::copy(other.join(name), headless.join(name)).unwrap();
    }
    let mut tensors = read_tensors(&other.join("model.safetensors")).unwrap();
    tensors.retain(|name, _| !name.starts_with("classifier."));
    write_tensors(&headless.join("model.safetensors"), &tensors, WeightKind::F32).unwrap();
    fs::write(root.join("short.txt"), "A meal.\n").unwrap();
    let vocabulary = fs::read_to_string(other.join("vocab.txt")).unwrap();
    fs::write(other.join("vocab.txt"), vocabulary.replace("\nmeal\n", "\nzebra\n")).unwrap();
    let cases = [
        ("student.folder=other", "vocab.txt: line 27: found meal, expected a piece of"),
        ("teacher.others=[\"other\"]", "vocab.txt: line 27: found zebra, expected a piece of"),
        (
            "teacher.others=[\"pretrained/discriminator\"]",
            "labels: found no classifier, expected the labels of",
        ),
        ("teacher.folder=pretrained/discriminator", "labels: found no classifier, expected the labels of"),
        ("data.labels=[\"BAD\", \"GOOD\"]", "labels: found NEGATIVE, POSITIVE, expected the labels of"),
        ("model.num_attention_heads=2", "expected heads at least as wide as the teacher's, 32"),
        ("model.num_hidden_layers=3", "num_hidden_layers: found 3, expected a multiple of the teacher's, 2"),
        ("model.hidden_size=96", "hidden_size: found 96, expected at most the teacher's, 64"),
        (
            "model.max_position_embeddings=96",
            "max_position_embeddings: found 96, expected at most the teacher's, 64",
        ),
        ("losses.relation_heads=5", "relation_heads: found 5, expected a divisor of both hidden sizes"),
        ("losses.temperature=0", "losses.temperature: found 0, expected 0.1 to 100"),
        ("training.batch_tokens=8", "training.batch_tokens: found 8, expected at least 32"),
        ("data.max_length=65", "max_position_embeddings: found 64, expected at least data.max_length, 65"),
        ("data.train=[{path=\"none.txt\"}]", "none.txt: cannot be read"),
        (
            "data.train=[{path=\"short.txt\", parts=\"sentences\"}]",
            "short.txt: parts: found none that are long enough, expected at least one of 6 tokens",
        ),
        (
            "teacher.folder=headless",
            "headless/model.safetensors: classifier.dense.bias: found no such tensor",
        ),
        (
            "student.folder=headless",
            "headless/model.safetensors: classifier.dense.bias: found no such tensor",
        ),
        ("training.steps=3", "training.warmup_steps: found 5, expected at most 3"),
        ("optimizer.weight_decay=1e6", "expected a finite number; no checkpoint had been written"),
    ];
    for (change, expected) in cases {
        let message = with(change);
        assert!(message.contains(expected), "{change}: {message}");
    }
}
