//! Runs the program with a tiny model.

use std::process::{Command, Output};

/// A model of 5 KB. The byte after its end is ignored.
const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fuzz/seeds/model_file/classifier");
const DETECTOR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fuzz/seeds/model_file/rtd");

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bit-flips")).args(arguments).output().expect("the program starts")
}

/// Returns the cells of the rows of the table.
fn rows(output: &Output) -> Vec<Vec<String>> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    let cells = |row: &str| row.split('|').map(|cell| cell.trim().to_owned()).collect();
    text.lines().skip(2).map(cells).collect()
}

#[test]
fn every_part_gets_every_number_of_flips() {
    let output = run(&["--model", TINY, "--runs", "20"]);
    let rows = rows(&output);
    let found: Vec<_> = rows.iter().map(|row| (row[1].as_str(), row[2].as_str())).collect();
    let sections = ["config", "labels", "metadata", "vocabulary", "embeddings", "encoder", "head"];
    let parts = std::iter::once("header and table").chain(sections);
    let expected: Vec<_> = parts.flat_map(|part| ["1", "10", "100"].map(|flips| (part, flips))).collect();
    assert_eq!(found, expected);
    for row in &rows {
        // A CRC-32 misses one of 4 * 10^9 patterns, and none of these.
        assert_eq!(row[3], "20", "{row:?}");
        let number = |index: usize| row[index].parse().unwrap_or(0);
        let (refused, label, failed) = (number(4), number(6), number(7));
        assert!(refused + label + failed <= 20, "{row:?}");
        // Without a run, there is no change.
        assert_eq!(refused + failed == 20, row[8].is_empty(), "{row:?}");
    }
    let row =
        |part: &str, flips: &str| rows.iter().find(|row| row[1] == part && row[2] == flips).expect("a row");
    // Every byte of these sections is a valid weight, and a hundred flips of scales change logits.
    for part in ["embeddings", "encoder", "head"] {
        let row = row(part, "100");
        assert_eq!(row[4], "", "{row:?}");
        assert_ne!(row[9], "0", "{row:?}");
    }
    // Some of 20 runs with a hundred flips in the head change the label.
    let head = row("head", "100");
    assert!(head[6].parse::<u32>().is_ok_and(|count| count > 0), "{head:?}");
    // No metadata is part of a run, and a name must be UTF-8.
    assert_eq!((&*row("metadata", "1")[9], &*row("metadata", "1")[6]), ("0", ""));
}

#[test]
fn a_seed_has_one_table() {
    let table = |seed: &str| run(&["--model", TINY, "--runs", "20", "--seed", seed]).stdout;
    assert_eq!(table("7"), table("7"));
    assert_ne!(table("7"), table("8"));
}

#[test]
fn wrong_arguments_are_explained() {
    for (arguments, problem) in [
        (&["--runs"][..], "usage: bit-flips"),
        (&["--runs", "many"], "--runs: many found, expected a number"),
        (&["--bits", "1"], "--bits found"),
        (&["--model", "missing.electra"], "missing.electra: "),
        (&["--model", DETECTOR], "expected a classifier"),
    ] {
        let output = run(arguments);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && message.contains(problem), "{arguments:?}: {message}");
    }
}
