//! The measurements of docs/why-electra.md from end to end, on a small made-up language.

#[expect(dead_code, reason = "the script starts the commands")]
mod common;
#[path = "common/task.rs"]
mod task;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use common::write_language;
use serde_json::Value;
use task::write_task;

const SIZES: &str = "--set model.vocab_size=64 --set model.embedding_size=16 --set model.hidden_size=32 \
                     --set model.num_hidden_layers=1 --set model.intermediate_size=64 \
                     --set data.sequence_length=32 --set data.validation=16";

fn run(root: &Path, more: &[(&str, &str)]) -> Output {
    Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/experiments/why-electra/run"))
        .arg(root.join("output"))
        .env("ELECTRA_TRAIN", env!("CARGO_BIN_EXE_electra-train"))
        .env("WHY_ELECTRA", env!("CARGO_BIN_EXE_why-electra"))
        .env("TEXTS", root.join("text.txt"))
        .env("SST2", root)
        .env("VOCABULARY", root.join("vocab.txt"))
        .env("BUDGETS", "5000 10000")
        .env("BATCH", "8")
        .env("JOBS", "2")
        .env("SEEDS", "1, 2")
        .env("DEVICE", "cpu")
        .env("PRECISION", "f32")
        .env("EXTRA", SIZES)
        .env("OMP_NUM_THREADS", "1")
        .envs(more.iter().copied())
        .output()
        .unwrap()
}

#[test]
fn every_objective_and_budget_once() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    write_language(root);
    write_task(root, "unused");
    let output = root.join("output");

    // A fine-tuning that fails ends the script, and its message is shown.
    let dev = fs::read_to_string(root.join("dev.tsv")).unwrap();
    fs::write(root.join("dev.tsv"), "sentence\tlabel\nA book.\t7\n").unwrap();
    let failed = run(root, &[]);
    let message = String::from_utf8_lossy(&failed.stderr);
    assert_eq!(failed.status.code(), Some(1), "{message}");
    assert!(
        message.contains("/finetune-") && message.contains(" failed; ") && message.contains("label: found 7"),
        "{message}"
    );

    // The same command continues.
    fs::write(root.join("dev.tsv"), dev).unwrap();
    let first = run(root, &[]);
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
    let table = String::from_utf8(first.stdout).unwrap();
    assert_eq!(table.lines().count(), 2 + 6, "{table}");
    assert!(output.join("accuracy-against-compute.svg").exists());
    let results: Value =
        serde_json::from_str(&fs::read_to_string(output.join("results.json")).unwrap()).unwrap();
    for run in results["runs"].as_array().unwrap() {
        assert_eq!(run["seeds"].as_array().unwrap().len(), 2, "{run}");
        // Half a step is rounded here and in the run of `rtd`, out of 20 or more steps.
        let expected =
            results["runs"][usize::from(run["steps"].as_u64().unwrap() > 30)]["operations"].as_f64();
        let ratio = run["operations"].as_f64().unwrap() / expected.unwrap();
        assert!((ratio - 1.0).abs() < 0.05, "{run}");
    }
    for part in ["rtd-5000/pretrain/checkpoints", "mlm-10000/finetune-2/seed-2/checkpoints"] {
        assert!(!output.join(part).exists(), "{part}");
    }

    // On a second call only the table is left to do.
    let again = run(root, &[]);
    assert_eq!((again.status.code(), &*again.stderr), (Some(0), &b""[..]));
    assert_eq!(String::from_utf8(again.stdout).unwrap(), table);
    let other = run(root, &[("BATCH", "16")]);
    let message = String::from_utf8_lossy(&other.stderr);
    assert!(!other.status.success() && message.contains("was made with other settings"), "{message}");
}
