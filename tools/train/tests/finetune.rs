//! From raw text to a classifier, through the command as a user runs it, on a small made-up
//! language.

mod common;
#[path = "common/pretraining.rs"]
mod pretraining;
#[path = "common/task.rs"]
mod task;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use common::{electra_train, metrics, refused, run, text, write_language};
use electra_train::model::config::Head;
use electra_train::model::folder::Folder;
use pretraining::write_pretrain_settings;
use serde_json::{Value, json};
use task::write_task;

#[test]
fn from_text_to_a_classifier() {
    let root = tempfile::tempdir().unwrap();
    write_language(root.path());
    let settings = write_pretrain_settings(root.path(), 60);
    run(&["pretrain", text(&settings), "-o", text(&root.path().join("pretrained"))]);
    let settings = write_task(root.path(), "pretrained/discriminator");

    let output = root.path().join("classifier");
    let said = run(&["finetune", text(&settings), "-o", text(&output)]);
    let summary: Value =
        serde_json::from_str(&fs::read_to_string(output.join("summary.json")).unwrap()).unwrap();
    assert_eq!(summary["trials"].as_array().unwrap().len(), 3);
    assert!(summary["median_accuracy"].as_f64().unwrap() > 0.9, "{summary}");

    // The folder that is reported as the best has the same accuracy when it is read again.
    let best = PathBuf::from(summary["best"].as_str().unwrap());
    assert!(said.trim_end().ends_with(text(&best)), "{said}");
    let dev = root.path().join("dev.tsv");
    let arguments = ["evaluate", text(&best), text(&dev), "--text", "sentence", "--json"];
    let found: Value = serde_json::from_str(&run(&arguments)).unwrap();
    let accuracies = summary["trials"].as_array().unwrap().iter().map(|it| &it["dev"]["accuracy"]);
    let highest = accuracies.map(|it| it.as_f64().unwrap()).fold(0.0, f64::max);
    assert_eq!(found["accuracy"], json!(highest));
    let folder = Folder::read(&best).unwrap();
    assert_eq!(folder.head, Head::Classification(vec!["NEGATIVE".to_owned(), "POSITIVE".to_owned()]));

    // A killed trial continues to the same figures.
    let killed = root.path().join("killed");
    let mut child = electra_train(&["finetune", text(&settings), "-o", text(&killed)]).spawn().unwrap();
    while !killed.join("seed-2/checkpoints").exists() {
        assert_eq!(child.try_wait().unwrap(), None, "it ended before it could be killed");
        sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    run(&["finetune", text(&settings), "-o", text(&killed)]);
    for seed in ["seed-1", "seed-2", "seed-3"] {
        assert_eq!(metrics(&output.join(seed)), metrics(&killed.join(seed)));
    }
}

/// Without dropout, an update of two passes equals one pass over all their texts, except for
/// rounding. Rare labels weigh more here.
#[test]
fn passes_add_up_to_an_update() {
    let root = tempfile::tempdir().unwrap();
    write_language(root.path());
    let settings = write_pretrain_settings(root.path(), 10);
    let more = ["--set", "model.hidden_dropout_prob=0.0", "--set", "model.attention_probs_dropout_prob=0.0"];
    let pretrained = root.path().join("pretrained");
    run(&[&["pretrain", text(&settings), "-o", text(&pretrained)][..], &more].concat());
    let settings = write_task(root.path(), "pretrained/discriminator");
    let train = root.path().join("train.tsv");
    let rows = fs::read_to_string(&train).unwrap();
    let mut praise = 0;
    let few = rows.lines().filter(|line| {
        praise += usize::from(line.ends_with("\t1"));
        !line.ends_with("\t1") || praise.is_multiple_of(8)
    });
    fs::write(&train, few.map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    let logs = [(16, 1), (8, 2), (5, 4)].map(|(batch_size, accumulate)| {
        let output = root.path().join(batch_size.to_string());
        let changes = [
            format!("training.batch_size={batch_size}"),
            format!("training.accumulate={accumulate}"),
            "training.seeds=[1]".to_owned(),
            "training.epochs=1".to_owned(),
        ];
        let mut arguments = vec!["finetune", text(&settings), "-o", text(&output)];
        for change in &changes {
            arguments.extend(["--set", change]);
        }
        run(&arguments);
        metrics(&output.join("seed-1"))
    });
    let losses = |log: &[Value]| log.iter().filter_map(|line| line["loss"].as_f64()).collect::<Vec<_>>();
    let [whole, halves, twenty] = logs.map(|log| losses(&log));
    assert!(whole.len() >= 3 && whole.len() == halves.len(), "{whole:?} {halves:?}");
    for (whole, halves) in whole.iter().zip(&halves) {
        assert!((whole - halves).abs() < 1e-4, "{whole} {halves}");
    }
    assert_ne!(whole, twenty, "updates of 20 texts are others");
}

/// BERT's folders differ in the names, in the width of the embeddings and in the head. `BertModel`
/// saves no prefix.
#[test]
fn a_bert_folder_without_prefix() {
    let root = tempfile::tempdir().unwrap();
    write_language(root.path());
    let settings = write_pretrain_settings(root.path(), 40);
    let objective = ["--set", "training.objective=mlm", "--set", "model.embedding_size=64"];
    let pretrained = root.path().join("pretrained");
    run(&[&["pretrain", text(&settings), "-o", text(&pretrained)][..], &objective].concat());
    let model = pretrained.join("language-model");
    rename_to_bert(&model);

    let settings = write_task(root.path(), "pretrained/language-model");
    let output = root.path().join("classifier");
    let more = ["--set", "training.seeds=[1]", "--set", "training.precision=bf16"];
    run(&[&["finetune", text(&settings), "-o", text(&output)][..], &more].concat());

    // A classifier with other labels loses its head, and the command warns of it.
    let again = [
        "--set",
        "model.folder=\"classifier/seed-1/model\"",
        "--set",
        "data.labels=[\"BAD\", \"GOOD\"]",
        "--set",
        "training.epochs=1",
    ];
    let other = root.path().join("other");
    let arguments = [&["finetune", text(&settings), "-o", text(&other)][..], &more, &again].concat();
    let output_of_other = electra_train(&arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output_of_other.stderr).into_owned();
    assert!(
        said.contains("its head for NEGATIVE, POSITIVE is replaced with a new one for BAD, GOOD"),
        "{said}"
    );
    let dev = root.path().join("dev.tsv");
    let best = output.join("seed-1/model");
    let arguments = ["evaluate", text(&best), text(&dev), "--text", "sentence", "--json"];
    let found: Value = serde_json::from_str(&run(&arguments)).unwrap();
    assert!(found["accuracy"].as_f64().unwrap() > 0.9, "{found}");
    let config = fs::read_to_string(best.join("config.json")).unwrap();
    assert!(config.contains("BertForSequenceClassification"), "{config}");
}

fn rename_to_bert(folder: &Path) {
    use electra_train::model::folder::{CONFIG, Tensors, WEIGHTS, WeightKind, read_tensors, write_tensors};
    let file = folder.join(WEIGHTS);
    let tensors: Tensors = read_tensors(&file)
        .unwrap()
        .into_iter()
        .filter_map(|(name, tensor)| Some((name.strip_prefix("electra.")?.to_owned(), tensor)))
        .collect();
    write_tensors(&file, &tensors, WeightKind::F32).unwrap();
    let file = folder.join(CONFIG);
    let mut config: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    config["model_type"] = json!("bert");
    config["architectures"] = json!(["BertModel"]);
    fs::write(&file, config.to_string()).unwrap();
}

#[test]
fn bad_inputs_are_named() {
    let root = tempfile::tempdir().unwrap();
    write_language(root.path());
    let settings = write_pretrain_settings(root.path(), 10);
    run(&["pretrain", text(&settings), "-o", text(&root.path().join("pretrained"))]);
    let settings = write_task(root.path(), "pretrained/discriminator");
    let model = root.path().join("pretrained/discriminator");
    let with = |changes: &[&str]| {
        let output = root.path().join("run");
        let mut arguments = vec!["finetune", text(&settings), "-o", text(&output)];
        for change in changes {
            arguments.extend(["--set", change]);
        }
        let message = refused(&arguments);
        let _ = fs::remove_dir_all(&output);
        message
    };
    let cases = [
        ("data.train=[{path=\"none.tsv\"}]", "none.tsv: cannot be read"),
        (
            "data.dev=[{path=\"dev.tsv\"}]",
            "dev.tsv: line 1: found the columns sentence, label, expected a column text",
        ),
        ("model.folder=none", "none/config.json: cannot be read"),
        ("training.epochs=0", "training.epochs: found 0, expected at least 1"),
        (
            "training.epochs=1844674407370955162",
            "training.epochs: found 1844674407370955162, expected at most",
        ),
        ("training.batch_size=4611686018427387904", "expected at most 1048576"),
        ("training.seeds=[1, 2, 1]", "training.seeds: found 1 twice, expected each once"),
        ("data.labels=[\"A\", \"A\"]", "data.labels: found A twice, expected each once"),
        ("data.labels=[\"A\"]", "data.labels: found 1, expected at least 2"),
        ("optimizer.weight_decay=1e6", "expected a finite number; no checkpoint had been written"),
    ];
    for (change, expected) in cases {
        let message = with(&[change]);
        assert!(message.contains(expected), "{change}: {message}");
    }
    let dev = root.path().join("dev.tsv");
    let message = refused(&["evaluate", text(&model), text(&dev)]);
    assert!(
        message.contains("config.json: architectures: found another model, expected a classifier"),
        "{message}"
    );

    // Sizes and weights that contradict each other.
    let config = fs::read_to_string(model.join("config.json")).unwrap();
    let changes = [
        ("\"intermediate_size\": 128", "\"intermediate_size\": 96", "found [128], expected [96]"),
        ("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3", "electra.encoder.layer.2"),
        ("\"gelu\"", "\"relu\"", "hidden_act: found relu, expected gelu"),
    ];
    for (from, to, expected) in changes {
        fs::write(model.join("config.json"), config.replace(from, to)).unwrap();
        let message = with(&[]);
        assert!(message.contains(expected), "{to}: {message}");
    }
    fs::write(model.join("config.json"), config).unwrap();
    fs::write(model.join("model.safetensors"), b"short").unwrap();
    assert!(with(&[]).contains("model.safetensors: content: found no valid safetensors file"));
}
