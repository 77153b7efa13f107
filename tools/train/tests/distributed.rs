//! Commands in two processes, started as by `torchrun`.

mod common;
#[path = "common/distillation.rs"]
mod distillation;
#[path = "common/pretraining.rs"]
mod pretraining;
#[path = "common/task.rs"]
mod task;

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use common::{electra_train, metrics, refused, run, text, write_language};
use distillation::write_distillation;
use electra_train::run::FolderLock;
use pretraining::write_pretrain_settings;

/// Two processes with 8 inputs each compute the same bits as one process with two passes of 8,
/// dropout included. If one of the two is killed, the other ends, and the run can continue.
#[test]
fn two_processes_are_one_that_makes_the_passes_of_both() {
    let root = tempfile::tempdir().unwrap();
    write_language(root.path());
    let settings = write_pretrain_settings(root.path(), 30);
    let (one, two) = (root.path().join("one"), root.path().join("two"));
    let half = ["pretrain", text(&settings), "--set", "training.batch_size=8", "-o"];
    run(&[&half[..], &[text(&one), "--set", "training.accumulate=2"]].concat());

    let mut processes = start_two(&[&half[..], &[text(&two)]].concat());
    let checkpoint = two.join("checkpoints/step-10");
    while !checkpoint.exists() {
        assert_eq!(processes[0].try_wait().unwrap(), None, "it ended before step 10");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let [first, mut second] = processes;
    second.kill().unwrap();
    second.wait().unwrap();
    let left = first.wait_with_output().unwrap();
    let message = String::from_utf8(left.stderr).unwrap();
    assert_eq!(left.status.code(), Some(1), "{message}");
    assert!(message.contains("error: processes: summing over the processes: "), "{message}");

    let printed = finish(start_two(&[&half[..], &[text(&two)]].concat()));
    assert_eq!(printed[0].lines().count(), 2, "{printed:?}");
    assert_eq!(printed[1], "");
    assert_eq!(metrics(&one), metrics(&two));
    for model in ["discriminator", "generator"] {
        let weights = |run: &Path| fs::read(run.join(model).join("model.safetensors")).unwrap();
        assert!(weights(&one) == weights(&two), "{model} differs");
    }
}

/// Without dropout, splitting a batch changes only the rounding. libtorch draws the numbers of
/// dropout for a whole pass, so they would differ.
#[test]
fn two_processes_have_the_losses_of_one_with_twice_the_batch() {
    let root = tempfile::tempdir().unwrap();
    write_language(root.path());
    let settings = write_pretrain_settings(root.path(), 20);
    let (one, two) = (root.path().join("one"), root.path().join("two"));
    let common = ["pretrain", text(&settings), "--set", "run.log_every=1"];
    let still = ["hidden_dropout_prob", "attention_probs_dropout_prob"].map(|it| format!("model.{it}=0.0"));
    let common = [&common[..], &["--set", &still[0], "--set", &still[1], "-o"]].concat();
    run(&[&common[..], &[text(&one)]].concat());
    finish(start_two(&[&common[..], &[text(&two), "--set", "training.batch_size=8"]].concat()));

    let (one, two) = (metrics(&one), metrics(&two));
    assert_eq!((one.len(), one.len()), (20, two.len()));
    let mut largest = 0.0_f64;
    for (one, two) in one.iter().zip(&two) {
        for (figure, expected) in one.as_object().unwrap() {
            // This figure is a share of the replaced tokens. Its mean over two halves is not that
            // of the whole.
            if figure.ends_with("replaced_found") {
                continue;
            }
            let (expected, found) = (expected.as_f64().unwrap(), two[figure].as_f64().unwrap());
            let difference = (found - expected).abs() / expected.abs().max(1.0);
            assert!(difference < 2e-6, "{figure}: {found} {expected} in step {}", one["step"]);
            largest = largest.max(difference);
        }
    }
    println!("largest relative difference of a figure: {largest:e}");
}

#[test]
fn faults_of_the_processes_are_named() {
    let root = tempfile::tempdir().unwrap();
    write_language(root.path());
    let settings = write_pretrain_settings(root.path(), 20);
    let output = root.path().join("run");
    let arguments = ["pretrain", text(&settings), "-o", text(&output)];
    let message = |arguments: &[&str], variables: &[(&str, &str)]| {
        let output = electra_train(arguments).envs(variables.iter().copied()).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let found = message(&arguments, &[("WORLD_SIZE", "2"), ("RANK", "2")]);
    assert!(found.contains("error: environment: RANK: found 2, expected 0 to 1"), "{found}");
    for command in ["average", "half"] {
        let arguments = [&[command], &arguments[1..]].concat();
        let found =
            message(&arguments, &[("WORLD_SIZE", "2"), ("RANK", "0"), ("LOCAL_RANK", "0"), ADDRESS, PORT]);
        assert!(
            found.contains(&format!("error: WORLD_SIZE is 2, but {command} runs in one process")),
            "{found}"
        );
    }
    let _lock = FolderLock::take(&output).unwrap();
    let found = refused(&arguments);
    assert!(found.contains("/run: another run works in this folder"), "{found}");
}

/// One process with two passes per update and two processes with one pass each compute the same
/// bits in every command that trains, and the same answers in `label`.
#[test]
fn two_processes_fine_tune_distil_label_and_quantize_as_one_does() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let distillation = write_distillation(root);
    let task = root.join("finetune.toml");
    let model = text(&root.join("taught/seed-1/model")).to_owned();
    let quantization = root.join("quantize.toml");
    let content = format!(
        "[model]\nfolder = {model:?}\n\
         [data]\nlabels = [\"NEGATIVE\", \"POSITIVE\"]\nmax_length = 32\n\
         train = [{{ path = \"train.tsv\", text = \"sentence\" }}]\n\
         dev = [{{ path = \"dev.tsv\", text = \"sentence\" }}]\n\
         [training]\nbatch_size = 8\nsteps = 12\n\
         [optimizer]\nlearning_rate = 1e-4\n[run]\ndevice = \"cpu\"\nlog_every = 5\nsensitivity_texts = 0\n"
    );
    fs::write(&quantization, content).unwrap();
    let cases: [(&str, &Path, &[&str], &str); 3] = [
        // The last update of an epoch has a single pass.
        ("finetune", &task, &["training.batch_size=13", "training.seeds=[1]", "training.epochs=1"], "seed-1"),
        ("distil", &distillation, &["training.steps=12", "losses.relations=0.0"], ""),
        ("quantize", &quantization, &[], ""),
    ];
    for (command, settings, changes, folder) in cases {
        let (one, two) = (root.join(format!("{command}-one")), root.join(format!("{command}-two")));
        let mut arguments = vec![command, text(settings)];
        for change in changes {
            arguments.extend(["--set", change]);
        }
        run(&[&arguments[..], &["-o", text(&one), "--set", "training.accumulate=2"]].concat());
        let printed = finish(start_two(&[&arguments[..], &["-o", text(&two)]].concat()));
        assert!(!printed[0].is_empty() && printed[1].is_empty(), "{printed:?}");
        let weights = |run: &Path| fs::read(run.join(folder).join("model/model.safetensors")).unwrap();
        assert_eq!(metrics(&one.join(folder)), metrics(&two.join(folder)), "{command}");
        assert!(weights(&one) == weights(&two), "{command}");
    }

    let labelling = root.join("label.toml");
    let content = "[data]\nlabels = [\"NEGATIVE\", \"POSITIVE\"]\nmax_length = 32\n\
                   train = [{ path = \"unlabelled.txt\" }]\n[run]\ndevice = \"cpu\"\nbatch_tokens = 128\n";
    fs::write(&labelling, content).unwrap();
    let label =
        |output: &str| ["label", &model, text(&labelling), "-o", text(&root.join(output))].map(str::to_owned);
    let (one, two) = (label("one"), label("two"));
    run(&one.each_ref().map(String::as_str));
    finish(start_two(&two.each_ref().map(String::as_str)));
    assert_eq!(fs::read(root.join("one")).unwrap(), fs::read(root.join("two")).unwrap());
}

const ADDRESS: (&str, &str) = ("MASTER_ADDR", "127.0.0.1");
const PORT: (&str, &str) = ("MASTER_PORT", "29500");

/// Starts the command in two processes, with the environment variables that torchrun would set.
fn start_two(arguments: &[&str]) -> [Child; 2] {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    ["0", "1"].map(|rank| {
        let mut command: Command = electra_train(arguments);
        command.envs([
            ("WORLD_SIZE", "2"),
            ("RANK", rank),
            ("LOCAL_RANK", rank),
            ADDRESS,
            ("MASTER_PORT", &port),
        ]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    })
}

/// Returns the output of each process. Both must succeed.
fn finish(processes: [Child; 2]) -> [String; 2] {
    processes.map(|process| {
        let output = process.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    })
}
