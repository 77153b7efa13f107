//! A model that changes in memory while it is in use. A test changes the file in place. On Linux
//! the map of the service shows the change.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use electra_core::Model;
use electra_core::model::format::SectionKind;

use crate::common::{SENTENCE, expect_code, run, stderr};
use crate::daemon::Daemon;
use crate::model;

/// A copy of the default model.
struct Copy {
    folder: tempfile::TempDir,
    bytes: Vec<u8>,
}

impl Copy {
    fn new() -> Self {
        let copy =
            Self { folder: tempfile::tempdir().expect("a folder"), bytes: fs::read(model()).expect("read") };
        copy.replace();
        copy
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("model.electra")
    }

    /// Renames an intact file over the model.
    fn replace(&self) {
        let new = self.folder.path().join("new");
        fs::write(&new, &self.bytes).expect("written");
        fs::rename(&new, self.path()).expect("renamed");
    }

    /// Writes the byte at `at`, with `change` as changed bits, to the file in place.
    fn write(&self, at: usize, change: u8) {
        let file = File::options().write(true).open(self.path()).expect("opened");
        file.write_all_at(&[self.bytes[at] ^ change], at as u64).expect("written");
    }

    fn middle_of(&self, kind: SectionKind) -> usize {
        let model = Model::open(&self.bytes).expect("a model");
        let section = model.sections().iter().find(|section| section.kind == kind).expect("a section");
        section.offset + section.bytes.len() / 2
    }

    fn serve(&self) -> Daemon {
        Daemon::start(&["--model", self.path().to_str().expect("UTF-8"), "--scrub", "0.3"])
    }
}

#[track_caller]
fn expect_failed_reload(daemon: &mut Daemon, section: &str) {
    daemon.expect_notice("RELOADING=1");
    let notice = daemon.expect_notice("READY=1");
    let expected = "stays in use although it is damaged";
    assert!(notice.contains(expected) && notice.contains(section), "{notice}, expected {section}");
}

/// Waits for the reload of an intact file. Reloads that had begun before may fail.
#[track_caller]
fn await_reload(daemon: &mut Daemon) {
    loop {
        daemon.expect_notice("RELOADING=1");
        if daemon.expect_notice("READY=1").contains("model.electra, reloaded") {
            break;
        }
    }
}

#[test]
fn damage_is_named_each_round_until_an_intact_file_is_there() {
    let copy = Copy::new();
    let mut daemon = copy.serve();
    let answer = daemon.ask(SENTENCE);
    for (kind, name) in [
        (SectionKind::Metadata, "section metadata"),
        (SectionKind::Encoder, "section encoder"),
        (SectionKind::Head, "section head"),
    ] {
        copy.write(copy.middle_of(kind), 1);
        expect_failed_reload(&mut daemon, name);
        expect_failed_reload(&mut daemon, name);
        // The service answers. A test cannot know how.
        assert!(daemon.ask(SENTENCE).contains("\t0."));
        copy.replace();
        await_reload(&mut daemon);
        assert_eq!(daemon.ask(SENTENCE), answer);
    }
    let log = daemon.stop();
    for name in ["metadata", "encoder", "head"] {
        let line = format!(
            "electra: scrub: {}: section {name}: checksum mismatch: the file is damaged; the model is loaded again\n",
            copy.path().display()
        );
        assert!(log.matches(&line).count() >= 2, "{log}");
    }
}

#[test]
fn a_change_that_disappears_is_reported_as_well() {
    let copy = Copy::new();
    let mut daemon = copy.serve();
    // The last byte of the section table is padding.
    copy.write(319, 1);
    expect_failed_reload(&mut daemon, "header or section table");
    copy.write(319, 0);
    loop {
        // A reload may come before the round that finds the model intact.
        let notice = daemon.expect_notice("");
        if notice.contains("intact again") || notice.contains("model.electra, reloaded") {
            break;
        }
    }
    let log = daemon.stop();
    assert!(log.contains("header or section table: checksum mismatch"), "{log}");
}

#[test]
fn a_round_needs_time() {
    for seconds in ["0", "-1", "1e9", "often"] {
        let output = run(&["serve", "--tcp", "127.0.0.1:0", &format!("--scrub={seconds}")]);
        expect_code(&output, 2);
        assert!(stderr(&output).contains("more than 0 and at most 86400"), "{}", stderr(&output));
    }
}
