//! Runs the command as a user does.
#![allow(dead_code, reason = "each file of tests uses a part of it")]

use std::io::Write;
use std::process::{Command, Output, Stdio};

pub const SENTENCE: &str = "ELECTRA is surprisingly fast and accurate.";

/// Returns the command without the variables of the test environment.
pub fn electra() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_electra"));
    command.env_remove("ELECTRA_MODEL").env_remove("ELECTRA_KERNELS");
    command
}

/// Runs the command to its end with empty standard input.
pub fn run(args: &[&str]) -> Output {
    electra().args(args).stdin(Stdio::null()).output().expect("the command starts")
}

/// Runs the command to its end with `input` on standard input.
pub fn run_with(args: &[&str], input: &[u8]) -> Output {
    let mut child = electra()
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let mut stdin = child.stdin.take().expect("standard input is piped");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().expect("the command ends");
    writer.join().expect("the writer does not panic");
    output
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("standard output is UTF-8")
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("standard error is UTF-8")
}

/// Asserts the exit code. The message of a failure contains both outputs.
#[track_caller]
pub fn expect_code(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "stdout: {}\nstderr: {}", stdout(output), stderr(output));
}
