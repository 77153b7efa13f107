//! A small language to train on, and functions that run the command.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use electra_train::random::{Purpose, Stream};
use serde_json::Value;

pub const GOOD: [&str; 6] = ["good", "fine", "great", "lovely", "bright", "warm"];
pub const BAD: [&str; 6] = ["bad", "poor", "awful", "dull", "cold", "grim"];
const THINGS: [&str; 8] = ["meal", "film", "book", "song", "chef", "room", "walk", "play"];

/// Returns a sentence about something, and whether it is praise.
pub fn sentence(random: &mut Stream) -> (String, bool) {
    let praise = random.below(2) == 1;
    let words = if praise { GOOD } else { BAD };
    let mut word = || words[random.below(words.len())];
    let (first, second) = (word(), word());
    let thing = THINGS[random.below(THINGS.len())];
    let text = match random.below(3) {
        0 => format!("The {thing} was {first} and {second}."),
        1 => format!("It was a {first} {thing}, so {second}!"),
        _ => format!("A {first} {thing}."),
    };
    (text, praise)
}

/// Writes a vocabulary and a text of paragraphs into `folder`.
pub fn write_language(folder: &Path) {
    let mut vocabulary: Vec<&str> = vec!["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
    vocabulary.extend([".", ",", "!", "the", "was", "and", "it", "a", "so"]);
    vocabulary.extend(GOOD.iter().chain(&BAD).chain(&THINGS));
    fs::write(folder.join("vocab.txt"), vocabulary.join("\n") + "\n").unwrap();
    let mut random = Stream::new(1, Purpose::Selection, 0);
    let mut text = String::new();
    for _ in 0..400 {
        for _ in 0..8 {
            text.push_str(&sentence(&mut random).0);
            text.push(' ');
        }
        text.push_str("\n\n");
    }
    fs::write(folder.join("text.txt"), text).unwrap();
}

/// Returns the command with one thread, because the tests run in parallel.
pub fn electra_train(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_electra-train"));
    command.args(arguments).env("OMP_NUM_THREADS", "1");
    command
}

/// Runs the command to its end and returns its output. It must succeed.
pub fn run(arguments: &[&str]) -> String {
    let output = electra_train(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs the command to its end and returns its message. It must fail with exit code 1.
pub fn refused(arguments: &[&str]) -> String {
    let output = electra_train(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", stderr(&output));
    stderr(&output).lines().filter(|line| line.starts_with("error: ")).collect()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Returns the lines of a log without the figures that depend on the clock.
pub fn metrics(run: &Path) -> Vec<Value> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let lines = text.lines().map(|line| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        for name in ["tokens_per_second", "operations_per_second"] {
            line.as_object_mut().unwrap().remove(name);
        }
        line
    });
    lines.collect()
}

/// Returns a path as text.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
