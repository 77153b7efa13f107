//! Tests on a system that cannot start more threads.
#![cfg(target_os = "linux")]

mod common;

use std::process::{Command, Output};

use common::{SENTENCE, electra, expect_code, stderr, stdout};

/// Writes a table with labels that has enough rows for several workers. Returns its path.
fn table(folder: &std::path::Path) -> String {
    let rows: String = (0..300).map(|row| format!("\"{SENTENCE} {row}\",POSITIVE\n")).collect();
    let path = folder.join("t.csv");
    std::fs::write(&path, format!("text,label\n{rows}")).expect("written");
    path.to_str().expect("UTF-8").to_owned()
}

/// Runs the command with 4 GiB of address space and 1 GiB of stack per thread, so that the third or
/// fourth thread cannot be started. With `none`, each thread requests a larger stack than any
/// machine has.
fn run_out_of_threads(args: &[&str], none: bool) -> Output {
    let stack = if none { usize::MAX / 4 } else { 1 << 30 };
    let limit = if none { "true" } else { "ulimit -v 4194304" };
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{limit} && exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_electra")]).args(args);
    for (name, value) in electra().get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let output = command.env("RUST_MIN_STACK", stack.to_string()).stdin(std::process::Stdio::null()).output();
    output.expect("the command starts")
}

#[test]
fn threads_that_cannot_be_started_are_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let table = table(folder.path());
    let socket = folder.path().join("s");
    let socket = socket.to_str().expect("UTF-8");
    let many: [&[&str]; 7] = [
        &["classify", "--threads", "8", "--input", &table],
        &["classify", "--split", "8", SENTENCE],
        &["classify", "--split", "8", "--threads", "2", "--input", &table],
        &["evaluate", "--threads", "8", "--input", &table],
        &["explain", "--threads", "8", SENTENCE],
        &["detect", "--split", "8", SENTENCE],
        &["serve", "--threads", "8", "--socket", socket],
    ];
    let one: [&[&str]; 5] = [
        &["classify", SENTENCE],
        &["classify", "--input", &table],
        &["evaluate", "--input", &table],
        &["profile", "--split", "2", "--runs", "1", SENTENCE],
        &["serve", "--socket", socket],
    ];
    let cases = many.iter().flat_map(|args| [(*args, false), (*args, true)]);
    for (args, none) in cases.chain(one.iter().map(|args| (*args, true))) {
        let output = run_out_of_threads(args, none);
        expect_code(&output, 1);
        let message = stderr(&output);
        assert_eq!(message.lines().count(), 1, "{args:?}: {message}");
        assert!(message.starts_with("electra: cannot start a thread: "), "{args:?}: {message}");
        assert_eq!(stdout(&output), "", "{args:?}");
    }
}

#[test]
fn commands_that_need_no_thread_start_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let packed = folder.path().join("m.electra");
    let packed = packed.to_str().expect("UTF-8");
    let onnx = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/classifier/torchscript.onnx");
    let commands: [&[&str]; 8] = [
        &["explain", SENTENCE],
        &["detect", SENTENCE],
        &["tokenize", SENTENCE],
        &["inspect"],
        &["footprint"],
        &["profile", "--runs", "1", SENTENCE],
        &["pack", onnx, "-o", packed],
        &["detect", "--engine", "direct", SENTENCE],
    ];
    for args in commands {
        expect_code(&run_out_of_threads(args, true), 0);
    }
}
