//! Tests of the golden sentences: `electra pack` stores their logits, `electra self-test` compares.

mod common;
#[path = "common/models.rs"]
mod models;

use std::fs;

use common::{expect_code, run, stderr, stdout};
use electra_pack::Source;
use models::{forge, packed};

#[test]
fn every_packed_model_passes_with_every_engine_and_every_kernel_set() {
    let folder = tempfile::tempdir().expect("a folder");
    for fixture in ["classifier", "detector"] {
        let model = packed(folder.path(), fixture, |source| source);
        let said = stdout(&run(&["self-test", &model]));
        assert!(said.contains("golden sentences have the expected bits"), "{said}");
        for kernels in electra_core::Kernels::all() {
            let mut command = common::electra();
            command.args(["self-test", &model, "--engine", "direct", "--json"]);
            let output = command.env("ELECTRA_KERNELS", kernels.name()).output().expect("it starts");
            expect_code(&output, 0);
            assert!(stdout(&output).contains("\"sentences\":"), "{}", stdout(&output));
        }
    }
}

#[test]
fn named_sentences_replace_the_default_ones_and_stay_when_metadata_changes() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = packed(folder.path(), "classifier", |source| {
        source.golden("one text").golden("").version(Some(7)).threshold("positive", "0.75")
    });
    let said = stdout(&run(&["self-test", &model, "--json"]));
    assert!(said.contains("\"sentences\":2"), "{said}");
    let renamed = folder.path().join("renamed.electra");
    let renamed = renamed.to_str().expect("UTF-8");
    let changed = Source::new(&model).name(Some("other".to_owned())).change_metadata().expect("changed");
    fs::write(renamed, changed).expect("written");
    let said = stdout(&run(&["inspect", renamed]));
    for line in ["name: other", "version: 7", "threshold.positive: 0.75", "one text"] {
        assert!(said.contains(line), "{line}: {said}");
    }
    expect_code(&run(&["self-test", renamed]), 0);
    let too_long = "word ".repeat(40);
    for wrong in [too_long.as_str(), "two\nlines"] {
        let refused = Source::new(&model).golden(wrong).change_metadata().expect_err("refused");
        assert!(refused.to_string().contains("expected one line of at most 32 tokens"), "{refused}");
    }
}

#[test]
fn a_file_of_version_1_is_refused_and_converted() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = packed(folder.path(), "classifier", |source| source);
    let present = fs::read(&model).expect("readable");
    forge(&model, |file| file[12..16].copy_from_slice(&1u32.to_le_bytes()));
    let refused = run(&["self-test", &model]);
    expect_code(&refused, 1);
    let advice = "format version 1 found, 2 expected: convert it with `electra pack OLD.electra";
    assert!(stderr(&refused).contains(advice), "{}", stderr(&refused));
    assert_eq!(Source::new(&model).change_metadata().expect("converted"), present);
    // A damaged file stays as it is.
    let mut damaged = fs::read(&model).expect("readable");
    damaged[1000] ^= 1;
    fs::write(&model, damaged).expect("written");
    let refused = Source::new(&model).change_metadata().expect_err("refused").to_string();
    assert!(refused.contains("format version 1 found"), "{refused}");
}

/// The checksums of these files are right, so only the golden sentences show the fault.
#[test]
fn a_changed_weight_with_right_checksums_is_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = packed(folder.path(), "classifier", |source| source);
    forge(&model, |_| {});
    expect_code(&run(&["self-test", &model]), 0);
    forge(&model, |file| {
        // A bias of the last layer.
        let at = file.len() - 64;
        file[at] ^= 0x80;
    });
    expect_code(&run(&["inspect", &model]), 0);
    let refused = run(&["self-test", &model]);
    expect_code(&refused, 1);
    assert!(
        stderr(&refused).contains("sentence 1: golden sentence: logit 0 has the bits"),
        "{}",
        stderr(&refused)
    );
}

#[test]
fn a_file_without_golden_sentences_says_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = models::undecided(folder.path(), "classifier");
    let refused = run(&["self-test", &path]);
    expect_code(&refused, 1);
    assert!(
        stderr(&refused).contains("has no golden sentences; pack the model again"),
        "{}",
        stderr(&refused)
    );
}
