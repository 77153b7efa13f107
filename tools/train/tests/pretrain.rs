//! The command `pretrain` as a user runs it, on a small made-up language.

mod common;
#[path = "common/pretraining.rs"]
mod pretraining;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use safetensors::SafeTensors;

use common::{electra_train, metrics, refused, run, text, write_language};
use pretraining::write_pretrain_settings;

#[test]
fn a_run_killed_twice_gives_the_losses_of_one_that_was_not() {
    let root = tempfile::tempdir().unwrap();
    write_language(root.path());
    let settings = write_pretrain_settings(root.path(), 80);
    let (whole, killed) = (root.path().join("whole"), root.path().join("killed"));
    run(&["pretrain", text(&settings), "-o", text(&whole)]);
    for step in [20, 50] {
        kill_after(&settings, &killed, step);
    }
    run(&["pretrain", text(&settings), "-o", text(&killed)]);
    assert_eq!(metrics(&whole), metrics(&killed));
    for model in ["discriminator", "generator"] {
        let weights = |run: &Path| fs::read(run.join(model).join("model.safetensors")).unwrap();
        assert!(weights(&whole) == weights(&killed), "{model} differs");
    }
    assert_eq!(metrics(&whole).last().unwrap()["step"], 80);
    assert_falls(&whole, "validation_mlm_loss", 0.2);
    assert_falls(&whole, "rtd_loss", 0.1);
    assert!(fs::read_to_string(whole.join("curves.svg")).unwrap().contains("rtd_accuracy"));
}

/// Ends a run with SIGKILL as soon as the checkpoint of `step` exists, in the middle of the work
/// that follows.
fn kill_after(settings: &Path, output: &Path, step: u64) {
    let mut child = electra_train(&["pretrain", text(settings), "-o", text(output)]).spawn().unwrap();
    let checkpoint = output.join(format!("checkpoints/step-{step}"));
    while !checkpoint.exists() {
        assert_eq!(child.try_wait().unwrap(), None, "it ended before step {step}");
        sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!output.join("discriminator").exists(), "it had ended by itself");
}

#[test]
fn every_objective_learns() {
    let root = tempfile::tempdir().unwrap();
    write_language(root.path());
    let settings = write_pretrain_settings(root.path(), 60);
    let variants: [(&str, &[&str], &str); 4] = [
        ("rtd-15", &[], "discriminator"),
        ("mlm", &[], "language-model"),
        ("rtd", &["--set", "training.precision=bf16"], "discriminator"),
        ("rtd", &["--set", "training.accumulate=2", "--set", "training.batch_size=8"], "discriminator"),
    ];
    for (index, (objective, more, model)) in variants.into_iter().enumerate() {
        let output = root.path().join(index.to_string());
        let objective = format!("training.objective={objective}");
        let mut arguments = vec!["pretrain", text(&settings), "-o", text(&output), "--set", &objective];
        arguments.extend(more);
        let written = run(&arguments);
        assert!(written.lines().any(|line| line.ends_with(model)), "{written}");
        assert_falls(&output, "mlm_loss", 0.5);
    }
    begins_with_an_encoder(root.path(), &settings);
}

/// With the encoder of the language model above, two steps reach a lower loss than without it.
fn begins_with_an_encoder(root: &Path, settings: &Path) {
    let begin = |name: &str, more: &[&str]| {
        let output = root.join(name);
        let steps = ["--set", "training.objective=mlm", "--set", "training.steps=2"];
        let warm = ["--set", "training.warmup_steps=2"];
        let arguments = ["pretrain", text(settings), "-o", text(&output)];
        run(&[&arguments[..], &steps, &warm, more].concat());
        metrics(&output).last().unwrap()["mlm_loss"].as_f64().unwrap()
    };
    let encoder = ["--set", "start.encoder=1/language-model"];
    assert!(begin("warm", &encoder) < begin("cold", &[]) - 0.2);
    let output = root.join("refused");
    let other = ["--set", "model.num_hidden_layers=3"];
    let message =
        refused(&[&["pretrain", text(settings), "-o", text(&output)][..], &encoder, &other].concat());
    let expected =
        "language-model: sizes: found Electra, 64 tokens, 64 positions, embeddings of 32, 2 layers of 64";
    assert!(message.contains(expected) && message.contains("as in [model]"), "{message}");

    // The models of a run are the start of another one, heads included. Its first step has the last
    // losses of the first run.
    let begin_rtd = |name: &str, more: &[&str]| {
        let output = root.join(name);
        let steps = ["--set", "training.steps=1", "--set", "training.warmup_steps=1"];
        let still = ["--set", "optimizer.learning_rate=0.0"];
        run(&[&["pretrain", text(settings), "-o", text(&output)][..], &steps, &still, more].concat());
        metrics(&output).pop().unwrap()
    };
    let models = ["--set", "start.encoder=2/discriminator", "--set", "start.generator=2/generator"];
    let (found, last) = (begin_rtd("both", &models), metrics(&root.join("2")).pop().unwrap());
    for figure in ["validation_mlm_loss", "validation_rtd_loss"] {
        let of = |line: &serde_json::Value| line[figure].as_f64().unwrap();
        assert!((of(&found) - of(&last)).abs() < 0.02, "{figure}: {found} {last}");
    }
    let shallow: Vec<&str> = [
        "start.generator=1/language-model",
        "generator.num_hidden_layers=1",
        "generator.num_attention_heads=2",
        "generator.intermediate_size=128",
    ]
    .into_iter()
    .flat_map(|setting| ["--set", setting])
    .collect();
    begin_rtd("shallow", &shallow);
    // The generator has the first of the language model's two layers, and its head. Its embeddings
    // are the discriminator's.
    let weights = |folder: &str| fs::read(root.join(folder).join("model.safetensors")).unwrap();
    let (taken, from) = (weights("shallow/generator"), weights("1/language-model"));
    let (taken, from) = (SafeTensors::deserialize(&taken).unwrap(), SafeTensors::deserialize(&from).unwrap());
    for (name, same) in [
        ("electra.encoder.layer.0.attention.self.query.weight", true),
        ("electra.encoder.layer.0.output.dense.bias", true),
        ("generator_predictions.dense.weight", true),
        ("electra.embeddings.word_embeddings.weight", false),
    ] {
        assert_eq!(taken.tensor(name).unwrap().data() == from.tensor(name).unwrap().data(), same, "{name}");
    }
    assert!(taken.tensor("electra.encoder.layer.1.output.dense.bias").is_err());
    let deep = ["--set", "start.generator=2/generator", "--set", "generator.num_hidden_layers=3"];
    let message =
        refused(&[&["pretrain", text(settings), "-o", text(&root.join("deep"))][..], &deep].concat());
    assert!(message.contains("2 layers of 64") && message.contains("as in [generator]"), "{message}");
}

/// Checks that the last value of a figure is at least `least` below the first one.
fn assert_falls(run: &Path, figure: &str, least: f64) {
    let values: Vec<f64> = metrics(run).iter().filter_map(|line| line[figure].as_f64()).collect();
    assert!(values[values.len() - 1] < values[0] - least, "{figure} of {}: {values:?}", run.display());
}

#[test]
fn a_loss_that_is_no_number_stops_the_run_and_keeps_the_checkpoint() {
    let root = tempfile::tempdir().unwrap();
    write_language(root.path());
    let settings = write_pretrain_settings(root.path(), 200);
    let output = root.path().join("run");
    // A decay larger than the weight itself makes the weights oscillate with growing size, until
    // they overflow some steps after the first checkpoint.
    let explode = ["--set", "optimizer.weight_decay=3000.0"];
    let message = refused(&[&["pretrain", text(&settings), "-o", text(&output)][..], &explode].concat());
    assert!(message.contains("expected a finite number"), "{message}");
    let step: u64 = message.split([' ', ':']).find_map(|word| word.parse().ok()).unwrap();
    assert!(step > 10 && message.contains(&format!("step {step}: the ")), "{message}");
    assert!(message.contains("the checkpoint of step 10 is kept: "), "{message}");
    assert!(output.join("checkpoints/step-10/state.safetensors").exists());
}

/// A limit on the size of files stands for a full disk: the write fails in the middle.
#[test]
fn a_disk_that_is_full_is_named_and_leaves_nothing_half_written() {
    let root = tempfile::tempdir().unwrap();
    write_language(root.path());
    let settings = write_pretrain_settings(root.path(), 20);
    let output = root.path().join("run");
    let shell = "trap '' XFSZ; ulimit -f 500; exec \"$@\"";
    let result = Command::new("sh")
        .args(["-c", shell, "sh", env!("CARGO_BIN_EXE_electra-train"), "pretrain"])
        .args([text(&settings), "-o", text(&output)])
        .env("OMP_NUM_THREADS", "1")
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&result.stderr).into_owned();
    assert_eq!(result.status.code(), Some(1), "{message}");
    assert!(message.contains("state.safetensors: cannot be written: File too large"), "{message}");
    assert_eq!(fs::read_dir(output.join("checkpoints")).unwrap().count(), 0);
    // When there is room again, the same command finishes.
    run(&["pretrain", text(&settings), "-o", text(&output)]);
}

#[test]
fn bad_inputs_are_named() {
    let root = tempfile::tempdir().unwrap();
    write_language(root.path());
    let settings = write_pretrain_settings(root.path(), 20);
    let output = root.path().join("run");
    let with = |changes: &[&str]| {
        let mut arguments = vec!["pretrain", text(&settings), "-o", text(&output)];
        for change in changes {
            arguments.extend(["--set", change]);
        }
        refused(&arguments)
    };
    let cases: [(&[&str], &[&str]); 12] = [
        (&["data.texts=[\"none.txt\"]"], &["none.txt: cannot be read"]),
        (&["data.vocabulary=none.txt"], &["none.txt: cannot be read"]),
        (&["data.vocabulary=text.txt"], &["text.txt: vocabulary: found no [PAD] among"]),
        (
            &["model.vocab_size=20"],
            &["vocab.txt: lines: found 34 tokens, expected at most model.vocab_size, 20"],
        ),
        (&["data.validation=100000"], &["text.txt: data.texts: found", "expected more than the 100000"]),
        (&["training.steps=0"], &["training.steps: found 0, expected 1 to"]),
        (
            &["model.num_attention_heads=5"],
            &["num_attention_heads: found 5, expected a divisor of hidden_size, 64"],
        ),
        (&["training.objective=rdt"], &["unknown variant `rdt`"]),
        (&["optimizer.clip_norm=0"], &["optimizer.clip_norm: found 0, expected a number above 0"]),
        (&["optimizer.layer_decay=0.8"], &["optimizer.layer_decay: found 0.8, expected 1"]),
        (
            &["training.discriminator_weight=nan"],
            &["training.discriminator_weight: found NaN, expected 0 to"],
        ),
        (&["training.steps=20\nwarmup_steps=3"], &["expected table.key=value"]),
    ];
    for (changes, expected) in cases {
        let message = with(changes);
        assert!(expected.iter().all(|part| message.contains(part)), "{changes:?}: {message}");
    }

    // After the correction the same command runs, because the refused runs have written nothing.
    run(&["pretrain", text(&settings), "-o", text(&output)]);
    // A run that has ended does not begin anew, and a run does not continue with another text or
    // another number of processes.
    let again = || refused(&["pretrain", text(&settings), "-o", text(&output)]);
    let words = fs::read_to_string(root.path().join("text.txt")).unwrap();
    fs::write(root.path().join("text.txt"), words.replacen("The", "The the", 1)).unwrap();
    assert!(again().contains("step-20: tokens of data.texts: found "), "{}", again());
    fs::write(root.path().join("text.txt"), words).unwrap();
    let counters = output.join("checkpoints/step-20/state.json");
    let state = fs::read_to_string(&counters).unwrap();
    fs::write(&counters, state.replace("\"processes\":1", "\"processes\":2")).unwrap();
    assert!(
        again().contains("step-20: processes: found 1, expected 2, with which the run began"),
        "{}",
        again()
    );
    fs::remove_dir_all(output.join("checkpoints")).unwrap();
    let log = fs::read(output.join("metrics.jsonl")).unwrap();
    assert!(again().contains("discriminator: run: found a result without checkpoints"), "{}", again());
    assert_eq!(fs::read(output.join("metrics.jsonl")).unwrap(), log);
}
