//! From text to a classifier that is trained for int8, as a user makes it, on a small made-up
//! language. The runtime is the oracle.

mod common;
#[path = "common/pack.rs"]
mod pack;
#[path = "common/pretraining.rs"]
mod pretraining;
#[path = "common/runtime.rs"]
mod runtime;
#[path = "common/task.rs"]
mod task;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use common::{electra_train, metrics, refused, run, text, write_language};
use electra_train::classification::{TextClassifier, encode, labels_of, tokenizer_of};
use electra_train::data::Source;
use electra_train::model::folder::{
    CONFIG, Folder, Tensors, VOCABULARY, WEIGHTS, WeightKind, read_tensors, write_tensors,
};
use pretraining::write_pretrain_settings;
use serde_json::{Value, json};
use task::write_task;

/// Makes a classifier at `classifier/seed-1/model`, and returns settings that quantize it.
fn write_quantization(root: &Path) -> PathBuf {
    write_language(root);
    let settings = write_pretrain_settings(root, 60);
    run(&["pretrain", text(&settings), "-o", text(&root.join("pretrained"))]);
    let settings = write_task(root, "pretrained/discriminator");
    let classifier = root.join("classifier");
    run(&["finetune", text(&settings), "-o", text(&classifier), "--set", "training.seeds=[1]"]);
    let file = root.join("quantize.toml");
    let content = "[model]\nfolder = \"classifier/seed-1/model\"\n\
         [data]\nlabels = [\"NEGATIVE\", \"POSITIVE\"]\n\
         train = [{ path = \"train.tsv\", text = \"sentence\" }]\n\
         dev = [{ path = \"dev.tsv\", text = \"sentence\" }]\n\
         [training]\nepochs = 2\nbatch_size = 16\nteacher_weight = 0.5\nclass_weights = \"balanced\"\n\
         [optimizer]\nlearning_rate = 1e-4\n\
         [run]\ndevice = \"cpu\"\nlog_every = 5\nsensitivity_texts = 40\n";
    fs::write(&file, content).unwrap();
    file
}

#[test]
fn from_a_classifier_to_one_for_int8() {
    let root = tempfile::tempdir().unwrap();
    let settings = write_quantization(root.path());
    let output = root.path().join("quantized");
    let said = run(&["quantize", text(&settings), "-o", text(&output)]);
    let report = read_json(&output.join("report.json"));

    // The report's figures are those of the runtime on the packed folders.
    let before = root.path().join("classifier/seed-1/model");
    for (name, folder) in [("ptq", &before), ("qat", &output.join("model"))] {
        let (accuracy, largest) = by_the_runtime(folder, &root.path().join("dev.tsv"), &before);
        let found = &report[name];
        assert_eq!(found["dev"]["accuracy"], json!(accuracy), "{name}");
        let reported = found["versus_f32"]["largest_logit_difference"].as_f64().unwrap();
        assert!((reported - largest).abs() < 1e-9 && largest > 0.0, "{name}: {reported} {largest}");
    }
    let evaluate = |folder: &Path, more: &[&str]| {
        let dev = root.path().join("dev.tsv");
        let arguments = ["evaluate", text(folder), text(&dev), "--text", "sentence", "--json"];
        serde_json::from_str::<Value>(&run(&[&arguments[..], more].concat())).unwrap()
    };
    assert_eq!(evaluate(&before, &[]), report["f32"]);
    assert_eq!(evaluate(&before, &["--int8"]), report["ptq"]["dev"]);
    assert_eq!(evaluate(&output.join("model"), &["--int8"]), report["qat"]["dev"]);

    let parts: Vec<&str> =
        report["sensitivity"].as_array().unwrap().iter().map(|it| it["part"].as_str().unwrap()).collect();
    let expected = [
        "embeddings",
        "layer 0 attention",
        "layer 0 feed-forward",
        "layer 1 attention",
        "layer 1 feed-forward",
        "head",
    ];
    assert_eq!(parts, expected);
    for it in report["sensitivity"].as_array().unwrap() {
        assert_eq!(it["texts"], 40);
        assert!(it["versus_f32"]["mean_logit_difference"].as_f64().unwrap() > 0.0, "{it}");
    }
    for line in ["int8, trained  ", "only layer 1 feed-forward  "] {
        assert!(said.contains(line), "{said}");
    }

    // A killed run continues to the same weights and the same report.
    let killed = root.path().join("killed");
    let mut child = electra_train(&["quantize", text(&settings), "-o", text(&killed)]).spawn().unwrap();
    while !killed.join("checkpoints").exists() {
        assert_eq!(child.try_wait().unwrap(), None, "it ended before it could be killed");
        sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!killed.join("report.json").exists(), "it had ended by itself");
    run(&["quantize", text(&settings), "-o", text(&killed)]);
    assert_eq!(metrics(&output), metrics(&killed));
    for file in ["report.json", "model/model.safetensors"] {
        assert!(
            fs::read(output.join(file)).unwrap() == fs::read(killed.join(file)).unwrap(),
            "{file} differs"
        );
    }
}

/// The weights are coarse on purpose: rounding alone harms them, and training through the rounding
/// repairs this.
#[test]
fn training_brings_int8_nearer_to_f32() {
    let root = tempfile::tempdir().unwrap();
    let settings = write_quantization(root.path());
    spoil(&root.path().join("classifier/seed-1/model"));
    let output = root.path().join("quantized");
    let changes = [
        "training.epochs=10",
        "training.teacher_weight=1.0",
        "training.class_weights=none",
        "optimizer.learning_rate=3e-4",
    ];
    let mut arguments = vec!["quantize", text(&settings), "-o", text(&output)];
    for change in &changes {
        arguments.extend(["--set", change]);
    }
    run(&arguments);
    let report = read_json(&output.join("report.json"));
    let difference = |name: &str| report[name]["versus_f32"]["mean_logit_difference"].as_f64().unwrap();
    let (ptq, qat) = (difference("ptq"), difference("qat"));
    println!("mean difference of a logit from f32: {ptq:.4} as packed, {qat:.4} trained");
    assert!(qat < 0.7 * ptq);
}

/// Makes one weight per row so large that the others are rounded to a few steps. The inputs of the
/// large weights are always zero, so they have no effect in f32.
fn spoil(folder: &Path) {
    let file = folder.join(WEIGHTS);
    let mut tensors: Tensors = read_tensors(&file).unwrap();
    for layer in 0..2 {
        let name = |rest: &str| format!("electra.encoder.layer.{layer}.{rest}");
        // A unit of the feed-forward block that is always zero.
        let _ = tensors[&name("intermediate.dense.weight")].get(0).fill_(0.0);
        let _ = tensors[&name("intermediate.dense.bias")].get(0).fill_(0.0);
        let output = tensors.get_mut(&name("output.dense.weight")).unwrap();
        let _ = output.select(1, 0).fill_(20.0);
    }
    write_tensors(&file, &tensors, WeightKind::F32).unwrap();
}

#[test]
fn a_larger_teacher_is_learnt_from() {
    let root = tempfile::tempdir().unwrap();
    let settings = write_quantization(root.path());
    let finetune = root.path().join("finetune.toml");
    let teacher = root.path().join("teacher");
    let changes = ["--set", "training.seeds=[2]", "--set", "optimizer.learning_rate=3e-4"];
    run(&[&["finetune", text(&finetune), "-o", text(&teacher)][..], &changes].concat());
    let output = root.path().join("quantized");
    let changes = ["--set", "model.teacher=teacher/seed-2/model", "--set", "training.steps=7"];
    run(&[&["quantize", text(&settings), "-o", text(&output)][..], &changes].concat());
    assert_eq!(metrics(&output).last().unwrap()["step"], 7);
    let accuracy = &read_json(&output.join("report.json"))["qat"]["dev"]["accuracy"];
    assert!(accuracy.as_f64().unwrap() > 0.9, "{accuracy}");
}

#[test]
fn bad_inputs_are_named() {
    let root = tempfile::tempdir().unwrap();
    let settings = write_quantization(root.path());
    let with = |changes: &[&str]| {
        let output = root.path().join("run");
        let mut arguments = vec!["quantize", text(&settings), "-o", text(&output)];
        for change in changes {
            arguments.extend(["--set", change]);
        }
        let message = refused(&arguments);
        let _ = fs::remove_dir_all(&output);
        message
    };
    let cases = [
        (
            "model.folder=pretrained/discriminator",
            "config.json: architectures: found another model, expected a classifier",
        ),
        (
            "data.labels=[\"POSITIVE\", \"NEGATIVE\"]",
            "config.json: id2label: found NEGATIVE, POSITIVE, expected POSITIVE, NEGATIVE, as in data.labels",
        ),
        ("training.teacher_weight=1.5", "training.teacher_weight: found 1.5, expected 0 to 1"),
        ("training.steps=0", "training.steps: found 0, expected at least 1"),
        ("training.teacher_weight=1.0", "training.class_weights: found balanced, expected none, or a"),
        ("training.precision=bf16", "unknown field `precision`"),
        ("model.teacher=none", "none/config.json: cannot be read"),
        ("optimizer.weight_decay=1e6", "expected a finite number; no checkpoint had been written"),
    ];
    for (change, expected) in cases {
        let message = with(&[change]);
        assert!(message.contains(expected), "{change}: {message}");
    }

    // Teachers with other labels, another vocabulary or too few positions.
    let classifier = root.path().join("classifier/seed-1/model");
    let teacher = root.path().join("teacher");
    let changes = [
        (
            CONFIG,
            "\"0\": \"NEGATIVE\"",
            "\"0\": \"BAD\"",
            "teacher/config.json: id2label: found BAD, POSITIVE",
        ),
        (
            VOCABULARY,
            "good\nfine",
            "goods\nfine",
            "teacher/vocab.txt: line 15: found goods, expected a piece of ",
        ),
        (
            CONFIG,
            "\"max_position_embeddings\": 64",
            "\"max_position_embeddings\": 4",
            "max_position_embeddings: found 4",
        ),
    ];
    for (file, from, to, expected) in changes {
        fs::create_dir_all(&teacher).unwrap();
        for name in [CONFIG, VOCABULARY, WEIGHTS] {
            fs::copy(classifier.join(name), teacher.join(name)).unwrap();
        }
        change(&teacher.join(file), from, to);
        let message = with(&["model.teacher=teacher"]);
        assert!(message.contains(expected), "{to}: {message}");
    }

    // A classifier that lacks a tensor of its head.
    let weights = classifier.join(WEIGHTS);
    let mut tensors = read_tensors(&weights).unwrap();
    let dense = tensors.remove("classifier.dense.weight").unwrap();
    write_tensors(&weights, &tensors, WeightKind::F32).unwrap();
    let message = with(&[]);
    assert!(message.contains("classifier.dense.weight: found no such tensor, expected one"), "{message}");
    tensors.insert("classifier.dense.weight".to_owned(), dense);
    write_tensors(&weights, &tensors, WeightKind::F32).unwrap();

    // Heads of a width that the kernels do not support.
    change(&classifier.join(CONFIG), "\"num_attention_heads\": 2", "\"num_attention_heads\": 8");
    let expected = "config.json: hidden_size / num_attention_heads: found 8, expected a multiple of 16 from 16 to 65536: \
         the int8 runtime supports nothing else";
    assert!(with(&[]).contains(expected), "{}", with(&[]));
    change(&classifier.join(CONFIG), "\"num_attention_heads\": 8", "\"num_attention_heads\": 2");

    // The runtime does not run BERT.
    change(&classifier.join(CONFIG), "\"model_type\": \"electra\"", "\"model_type\": \"bert\"");
    change(&classifier.join(CONFIG), "\"embedding_size\": 32", "\"embedding_size\": 64");
    let expected =
        "config.json: model_type: found bert, expected electra: the int8 runtime supports nothing else";
    assert!(with(&[]).contains(expected), "{}", with(&[]));
    let dev = root.path().join("dev.tsv");
    assert!(refused(&["evaluate", text(&classifier), text(&dev), "--int8"]).contains(expected));
}

fn change(file: &Path, from: &str, to: &str) {
    let content = fs::read_to_string(file).unwrap();
    assert!(content.contains(from), "{from} in {content}");
    fs::write(file, content.replace(from, to)).unwrap();
}

fn read_json(file: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}

/// Returns the accuracy of the packed `folder` on `file`, and the largest difference of a logit
/// from `reference` in f32.
fn by_the_runtime(folder: &Path, file: &Path, reference: &Path) -> (f64, f64) {
    let reference = Folder::read(reference).unwrap();
    let labels = labels_of(&reference).unwrap();
    let source = Source { text: "sentence".to_owned(), ..Source::new(file.to_path_buf()) };
    let examples = source.read(labels).unwrap();
    let examples = encode(&examples, &tokenizer_of(&reference).unwrap(), 64, None).unwrap();
    let ids: Vec<&[u16]> = examples.iter().map(|it| &it.ids[..]).collect();
    let logits = runtime::logits(folder, &ids);
    let right = logits.iter().zip(&examples).filter(|(row, it)| (row[1] > row[0]) == (it.label == 1)).count();
    let classifier = TextClassifier::read(&reference, tch::Device::Cpu).unwrap();
    let in_f32 = classifier.logits_of_all(&examples, 0, None).unwrap().concat();
    let differences = logits.concat().into_iter().zip(in_f32).map(|(a, b)| (f64::from(a) - b).abs());
    (right as f64 / examples.len() as f64, differences.fold(0.0, f64::max))
}
