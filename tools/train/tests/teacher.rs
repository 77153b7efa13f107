//! A teacher of another family, with other ids for the same pieces, on a small made-up language. It
//! is fine-tuned, its answers are stored, and a student learns from it.

mod common;
#[path = "common/mpnet.rs"]
mod mpnet;
#[path = "common/task.rs"]
mod task;

use std::fs;
use std::path::{Path, PathBuf};

use common::{metrics, refused, run, text, write_language};
use electra_train::model::folder::read_tensors;
use mpnet::write_mpnet;
use serde_json::Value;
use task::write_task;

/// Sentence about things that is neither good nor bad; `THING` stands for a thing.
const NEUTRAL: &str = "It was a THING, so it was a THING.";

#[test]
fn a_teacher_of_three_labels() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    write_language(root);
    write_mpnet(root);
    let settings = write_three_labels(root);
    let taught = root.join("taught");
    run(&["finetune", text(&settings), "-o", text(&taught)]);
    let model = taught.join("seed-1/model");

    // A source that covers two labels teaches nothing about the third, and is evaluated among the
    // two.
    let dev = root.join("dev.tsv");
    let evaluate = |more: &[&str]| -> Value {
        let arguments =
            ["evaluate", text(&model), text(&dev), "--text", "sentence", "--label", "mood", "--json"];
        serde_json::from_str(&run(&[&arguments[..], more].concat())).unwrap()
    };
    let among_two = evaluate(&["--without", "NEUTRAL"]);
    assert!(among_two["accuracy"].as_f64().unwrap() > 0.9, "{among_two}");
    assert!(among_two["loss"].as_f64() < evaluate(&[])["loss"].as_f64());
    let message = refused(&["evaluate", text(&model), text(&dev), "--without", "MIXED"]);
    assert!(
        message.contains("--without: label: found MIXED, expected one of NEGATIVE, NEUTRAL"),
        "{message}"
    );
    let last = metrics(&taught.join("seed-1")).iter().rev().find_map(|it| it["dev_accuracy"].as_f64());
    assert!(last.unwrap() > 0.9);
    let saved = fs::read_to_string(taught.join("settings.toml")).unwrap();
    assert!(saved.contains("\"identity\"") && saved.contains("consistency = 0.5"), "{saved}");

    frozen_layers_stay(root, &settings);
    the_last_weights_are_averaged(root, &settings);
    answers_are_a_teacher(root, &model);
    a_student_is_fitted_to_it(root);
    texts_are_kept_back(root, &settings);
    a_table_of_ones_own(root);
}

/// Writes tables of sentences with two labels, a table of sentences with the third one, and
/// settings. Returns the path of the settings.
fn write_three_labels(root: &Path) -> PathBuf {
    let settings = write_task(root, "mpnet");
    for name in ["train.tsv", "dev.tsv"] {
        let rows = fs::read_to_string(root.join(name)).unwrap();
        let rows = rows
            .replace("\tlabel", "\tmood")
            .replace("\t0\n", "\tNEGATIVE\n")
            .replace("\t1\n", "\tPOSITIVE\n");
        fs::write(root.join(name), rows).unwrap();
    }
    let things = ["meal", "film", "book", "song", "chef", "room", "walk", "play"];
    let mut rows = "sentence\tmood\n".to_owned();
    for first in things {
        for second in things {
            rows.push_str(&NEUTRAL.replacen("THING", first, 1).replacen("THING", second, 1));
            rows.push_str("\tNEUTRAL\n");
        }
    }
    fs::write(root.join("neutral.tsv"), rows).unwrap();
    let labelled = "text = \"sentence\", label = \"mood\"";
    let two = "knows = [\"NEGATIVE\", \"POSITIVE\"]";
    let content = format!(
        "[model]\nfolder = \"mpnet\"\n\
         [data]\nlabels = [\"NEGATIVE\", \"NEUTRAL\", \"POSITIVE\"]\nmax_length = 32\n\
         train = [\n\
         {{ path = \"train.tsv\", {labelled}, {two}, augment = {{ share = 0.5 }} }},\n\
         {{ path = \"neutral.tsv\", {labelled} }},\n]\n\
         dev = [{{ path = \"dev.tsv\", {labelled}, {two} }}, {{ path = \"neutral.tsv\", {labelled} }}]\n\
         [training]\nepochs = 5\nbatch_size = 16\naverage_share = 0.3\nconsistency = 0.5\n\
         [optimizer]\nlearning_rate = 2e-3\n\
         [run]\ndevice = \"cpu\"\nlog_every = 5\n"
    );
    fs::write(&settings, content).unwrap();
    settings
}

fn frozen_layers_stay(root: &Path, settings: &Path) {
    let output = root.join("frozen");
    let changes = [
        "--set",
        "training.freeze_layers=1",
        "--set",
        "training.steps=3",
        "--set",
        "model.folder=taught/seed-1/model",
    ];
    run(&[&["finetune", text(settings), "-o", text(&output)][..], &changes].concat());
    let read =
        |folder: &str| read_tensors(&root.join(folder).join("seed-1/model/model.safetensors")).unwrap();
    let (before, after) = (read("taught"), read("frozen"));
    for (name, tensor) in &before {
        let frozen =
            ["embeddings.", "relative_attention_bias", "layer.0."].iter().any(|it| name.contains(it));
        assert_eq!(after[name] == *tensor, frozen, "{name}");
    }
    let state = read_tensors(&output.join("seed-1/checkpoints/step-3/state.safetensors")).unwrap();
    assert!(state["first_moments"].numel() < state["parameters"].numel() * 6 / 10);
    let message = refused(&[
        "finetune",
        text(settings),
        "-o",
        text(&root.join("no")),
        "--set",
        "training.freeze_layers=3",
    ]);
    assert!(message.contains("training.freeze_layers: found 3, expected "), "{message}");
}

/// Compares with the weights of the last two updates, as checkpoints have them.
fn the_last_weights_are_averaged(root: &Path, settings: &Path) {
    let state = |name: &str, changes: &[&str]| {
        let output = root.join(name);
        let mut arguments =
            vec!["finetune", text(settings), "-o", text(&output), "--set", "training.steps=3"];
        for change in changes {
            arguments.extend(["--set", change]);
        }
        run(&arguments);
        move |step: &str| {
            let checkpoint = output.join("seed-1/checkpoints").join(step);
            read_tensors(&checkpoint.join("state.safetensors")).unwrap()
        }
    };
    let each = state("each", &["training.average_share=0.0", "training.evaluations_per_epoch=3"]);
    let mean = state("mean", &["training.average_share=0.6", "training.evaluations_per_epoch=1"])("step-3");
    let (second, third) =
        (each("step-2").remove("parameters").unwrap(), each("step-3").remove("parameters").unwrap());
    let expected = (&second + &third) / 2.0;
    assert_eq!(mean["parameters"], third);
    assert!(mean["mean_parameters"].allclose(&expected, 1e-6, 1e-7, false));
    // The mean is evaluated on dev, and is kept.
    assert_eq!(mean["best_parameters"], mean["mean_parameters"]);
    assert_ne!(second, third);
    the_last_classifier_can_be_kept(root, settings);
}

/// Compares with the last evaluation in the log, for the last weights and for their mean.
fn the_last_classifier_can_be_kept(root: &Path, settings: &Path) {
    for (name, changes) in [
        ("each", ["training.average_share=0.0", "training.evaluations_per_epoch=3"]),
        ("mean", ["training.average_share=0.6", "training.evaluations_per_epoch=1"]),
    ] {
        let output = root.join(name);
        let mut arguments =
            vec!["finetune", text(settings), "-o", text(&output), "--set", "training.steps=3"];
        for change in changes.iter().chain(&["run.keep=\"last\""]) {
            arguments.extend(["--set", change]);
        }
        // The run has ended. The command only chooses the classifier again.
        run(&arguments);
        let summary = fs::read_to_string(output.join("summary.json")).unwrap();
        let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
        let kept = &summary["trials"][0];
        let last = metrics(&output.join("seed-1")).iter().rev().find_map(|it| it["dev_loss"].as_f64());
        assert_eq!((kept["step"].as_u64(), kept["dev"]["loss"].as_f64()), (Some(3), last), "{name}: {kept}");
    }
}

fn answers_are_a_teacher(root: &Path, model: &Path) {
    let sources = "{ path = \"train.tsv\", text = \"sentence\" }, { path = \"neutral.tsv\", text = \"sentence\", parts = \"sentences\" }";
    let labelling = root.join("label.toml");
    let labels = "labels = [\"NEGATIVE\", \"NEUTRAL\", \"POSITIVE\"]\nmax_length = 32";
    let content =
        format!("[data]\n{labels}\ntrain = [{sources}]\n[run]\ndevice = \"cpu\"\nbatch_tokens = 256\n");
    fs::write(&labelling, content).unwrap();
    let output = root.join("answers");
    let command = ["label", text(model), text(&labelling), "-o", text(&output)];
    let said = run(&command);
    let whole = fs::read(&output).unwrap();
    assert!(said.contains(" texts, ") && run(&command).contains(" 0 labelled in this run"), "{said}");
    fs::write(&output, &whole[..whole.len() / 2]).unwrap();
    run(&command);
    assert_eq!(fs::read(&output).unwrap(), whole);
    let message = refused(&[&command[..], &["--set", "answers.temperature=3"]].concat());
    assert!(
        message.contains("answers: temperature: found 3, expected 1, with which the file began"),
        "{message}"
    );

    let settings = root.join("distil.toml");
    let content = format!(
        "[teacher]\nanswers = [\"answers\"]\n\
         [student]\nvocabulary = \"vocab.txt\"\nstart = \"random\"\n\
         [model]\nvocab_size = 64\nembedding_size = 16\nhidden_size = 48\nnum_hidden_layers = 4\n\
         num_attention_heads = 1\nintermediate_size = 96\nmax_position_embeddings = 64\n\
         [data]\n{labels}\ntrain = [{sources}]\n\
         dev = [{{ path = \"dev.tsv\", text = \"sentence\", label = \"mood\", knows = [\"NEGATIVE\", \"POSITIVE\"] }}]\n\
         [training]\nsteps = 1\nwarmup_steps = 1\nbatch_tokens = 4096\n\
         [losses]\nhidden = 0.0\nhard = 0.0\n\
         [optimizer]\nlearning_rate = 1e-3\n\
         [run]\ndevice = \"cpu\"\nlog_every = 1\n"
    );
    fs::write(&settings, content).unwrap();
    // The answers in the file are those of the teacher itself. If both are used, each counts half.
    let alive = "teacher.folder=taught/seed-1/model";
    let soft = |name: &str, changes: &[&str]| {
        let output = root.join(name);
        let mut arguments = vec!["distil", text(&settings), "-o", text(&output)];
        for change in changes {
            arguments.extend(["--set", change]);
        }
        run(&arguments);
        metrics(&output).iter().find_map(|it| it["soft_loss"].as_f64()).unwrap()
    };
    let (file, live, both) =
        (soft("file", &[]), soft("live", &[alive, "teacher.answers=[]"]), soft("both", &[alive]));
    assert!(live > 0.05 && (file - live).abs() < 1e-3 && (both - live).abs() < 1e-3, "{file} {live} {both}");
    let summary = fs::read_to_string(root.join("file/summary.json")).unwrap();
    assert!(summary.contains("\"teacher\": null"), "{summary}");

    // A teacher of two labels gives the third one no probability, and must not be mixed with a
    // teacher of three.
    run(&["label", text(&root.join("mpnet")), text(&labelling), "-o", text(&root.join("two"))]);
    let header = fs::read(root.join("two")).unwrap();
    let header = header.split(|&byte| byte == b'\n').next().unwrap();
    assert!(String::from_utf8_lossy(header).contains("\"labels\":[\"NEGATIVE\",\"POSITIVE\"]"));
    let two = "teacher.folder=mpnet";
    let (file, live) =
        (soft("two-file", &["teacher.answers=[\"two\"]"]), soft("two-live", &[two, "teacher.answers=[]"]));
    // Neither the teacher nor the student is trained. The student's third label, which has a third
    // of its probability, does not count.
    assert!(file < 0.05 && (file - live).abs() < 1e-3, "{file} {live}");
    let output = root.join("refused");
    let message = refused(&["distil", text(&settings), "-o", text(&output), "--set", two]);
    assert!(
        message.contains("answers: labels: found others, expected answers with the labels of"),
        "{message}"
    );

    let cases = [
        ("losses.hidden=1.0", "losses.hidden: found 1, expected 0, or a teacher.folder"),
        ("losses.relations=0.5", "losses.relations: found 0.5, expected 0, or a teacher.folder"),
        ("student.start=teacher", "student.start: found teacher, expected random, or a student.folder"),
        ("teacher.answers=[]", "teacher.folder: found none, expected a classifier's, or teacher.answers"),
        (
            "data.train=[{path=\"text.txt\"}]",
            "answers: texts: found none of data.train, expected some of data.train, cut to the same",
        ),
    ];
    for (change, expected) in cases {
        let output = root.join("refused");
        let message = refused(&["distil", text(&settings), "-o", text(&output), "--set", change]);
        assert!(message.contains(expected), "{change}: {message}");
        let _ = fs::remove_dir_all(&output);
    }
}

fn a_student_is_fitted_to_it(root: &Path) {
    let (settings, output) = (root.join("distil.toml"), root.join("fitted"));
    let mut arguments = vec!["distil", text(&settings), "-o", text(&output)];
    for change in [
        "teacher.folder=taught/seed-1/model",
        "student.start=teacher",
        "model.vocab_size=34",
        "training.steps=20",
        "training.batch_tokens=512",
        "losses.hidden=1.0",
        "losses.consistency=0.5",
        "data.train=[{path=\"train.tsv\", text=\"sentence\", augment={}}, {path=\"neutral.tsv\", text=\"sentence\"}]",
    ] {
        arguments.extend(["--set", change]);
    }
    run(&arguments);
    let dev: Vec<f64> = metrics(&output).iter().filter_map(|it| it["dev_accuracy"].as_f64()).collect();
    assert!(dev[0] > 0.8 && dev[dev.len() - 1] > 0.9, "{dev:?}");
    let apart: Vec<f64> = metrics(&output).iter().filter_map(|it| it["consistency_loss"].as_f64()).collect();
    assert!(apart.iter().all(|it| it.is_finite()) && apart[0] > 0.0, "{apart:?}");
    // The student's vocabulary is BERT's.
    let vocabulary = |path: &str| fs::read_to_string(root.join(path)).unwrap();
    assert_eq!(vocabulary("fitted/model/vocab.txt"), vocabulary("vocab.txt"));
    let change = ["--set", "student.vocabulary=none.txt", "--set", "teacher.folder=taught/seed-1/model"];
    let refused_output = root.join("refused");
    let message = refused(&[&["distil", text(&settings), "-o", text(&refused_output)][..], &change].concat());
    assert!(message.contains("none.txt: cannot be read"), "{message}");
}

/// The recipe for a user's own table: the command finds the labels and the texts for dev by itself.
fn a_table_of_ones_own(root: &Path) {
    let rows = fs::read_to_string(root.join("train.tsv")).unwrap()
        + &fs::read_to_string(root.join("neutral.tsv")).unwrap();
    let rows = rows.replace("sentence\tmood\n", "");
    let rows = rows
        .lines()
        .filter_map(|row| row.split_once('\t'))
        .map(|(text, mood)| format!("{mood},\"{text}\"\n"));
    fs::write(root.join("tickets.csv"), format!("category,body\n{}", rows.collect::<String>())).unwrap();
    let recipe = concat!(env!("CARGO_MANIFEST_DIR"), "/recipes/finetune-tickets.toml");
    let content = fs::read_to_string(recipe).unwrap().replace("../tickets.csv", "tickets.csv");
    let settings = root.join("finetune-tickets.toml");
    fs::write(&settings, content).unwrap();
    let output = root.join("tickets");
    let changes = ["model.folder=taught/seed-1/model", "run.device=cpu", "training.steps=20"];
    let mut arguments = vec!["finetune", text(&settings), "-o", text(&output)];
    for change in &changes {
        arguments.extend(["--set", change]);
    }
    run(&arguments);
    let summary = fs::read_to_string(output.join("summary.json")).unwrap();
    let summary: Value = serde_json::from_str(&summary).unwrap();
    assert_eq!(summary["trials"].as_array().unwrap().len(), 1);
    let dev = &summary["trials"][0]["dev"];
    assert!(
        (25..75).contains(&dev["texts"].as_u64().unwrap()) && dev["accuracy"].as_f64() > Some(0.9),
        "{summary}"
    );
    let config = fs::read_to_string(output.join("seed-1/model/config.json")).unwrap();
    let labels = ["NEGATIVE", "NEUTRAL", "POSITIVE"].iter().map(|it| config.find(&format!("\": \"{it}\"")));
    assert!(labels.collect::<Vec<_>>().is_sorted() && config.contains("\"2\": \"POSITIVE\""), "{config}");

    let message = refused(&[
        "finetune",
        text(&settings),
        "-o",
        text(&root.join("no")),
        "--set",
        "data.train=[{path=\"one.csv\"}]",
    ]);
    assert!(message.contains("one.csv: cannot be read"), "{message}");
    fs::write(root.join("one.csv"), "text,label\na,x\nb,x\n").unwrap();
    let message = refused(&[
        "finetune",
        text(&settings),
        "-o",
        text(&root.join("no")),
        "--set",
        "data.train=[{path=\"one.csv\"}]",
    ]);
    assert!(
        message
            .contains("one.csv: labels: found 1 different values in the labels' columns, expected 2 to 1000"),
        "{message}"
    );
}

fn texts_are_kept_back(root: &Path, settings: &Path) {
    let output = root.join("kept-back");
    let changes =
        ["data.dev=[]", "data.dev_share=0.2", "training.steps=2", "model.folder=taught/seed-1/model"];
    let mut arguments = vec!["finetune", text(settings), "-o", text(&output)];
    for change in changes {
        arguments.extend(["--set", change]);
    }
    run(&arguments);
    let summary = fs::read_to_string(output.join("summary.json")).unwrap();
    let summary: Value = serde_json::from_str(&summary).unwrap();
    let texts = summary["trials"][0]["dev"]["texts"].as_u64().unwrap();
    assert!((50..150).contains(&texts), "{summary}");
    let message =
        refused(&["finetune", text(settings), "-o", text(&root.join("no")), "--set", "data.dev_share=0.2"]);
    assert!(
        message.contains("data.dev and data.dev_share: found both, expected files to choose by"),
        "{message}"
    );
}
