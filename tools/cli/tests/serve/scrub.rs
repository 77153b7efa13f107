//! A model that changes in memory while it is in use. A test changes the file in place. On Linux
//! the map of the service shows the change.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use electra_core::Model;
use electra_core::model::format::SectionKind;

use crate::common::{SENTENCE, expect_code, run, stderr};
use crate::daemon::Daemon;
use crate::{model, relabelled};

/// A copy of the default model.
struct Copy {
    folder: tempfile::TempDir,
    bytes: Vec<u8>,
}

impl Copy {
    fn new() -> Self {
        let copy =
            Self { folder: tempfile::tempdir().expect("a folder"), bytes: fs::read(model()).expect("read") };
        copy.replace_with(&copy.bytes);
        copy
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("model.electra")
    }

    /// Renames a new file over the model.
    fn replace_with(&self, bytes: &[u8]) {
        let new = self.folder.path().join("new");
        fs::write(&new, bytes).expect("written");
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

    /// Returns the part of the notice of a reload that fails because of this part of the file.
    fn failed_reload(&self, part: &str) -> String {
        format!("stays in use although it is damaged: {}: {part}", self.path().display())
    }

    /// Starts a service that takes this number of seconds for each round.
    fn serve(&self, seconds: &str) -> Daemon {
        Daemon::start(&["--model", self.path().to_str().expect("UTF-8"), "--scrub", seconds])
    }
}

/// Waits for a notice that contains one of `parts`. Others may come before it, because a round and
/// a reload may end in any order.
#[track_caller]
fn await_notice(daemon: &mut Daemon, parts: &[&str]) {
    let mut seen = Vec::new();
    while seen.len() < 40 {
        let notice = daemon.expect_notice("");
        if parts.iter().any(|part| notice.contains(part)) {
            return;
        }
        seen.push(notice);
    }
    panic!("{seen:?}, expected {parts:?}");
}

#[test]
fn damage_is_named_each_round_until_an_intact_file_is_there() {
    let copy = Copy::new();
    let mut daemon = copy.serve("0.3");
    let answer = daemon.ask(SENTENCE);
    for (kind, name) in [
        (SectionKind::Metadata, "section metadata"),
        (SectionKind::Encoder, "section encoder"),
        (SectionKind::Head, "section head"),
    ] {
        copy.write(copy.middle_of(kind), 1);
        await_notice(&mut daemon, &[&copy.failed_reload(name)]);
        await_notice(&mut daemon, &[&copy.failed_reload(name)]);
        // The service answers. A test cannot know how.
        assert!(daemon.ask(SENTENCE).contains("\t0."));
        copy.replace_with(&copy.bytes);
        await_notice(&mut daemon, &["model.electra, reloaded"]);
        assert_eq!(daemon.ask(SENTENCE), answer);
    }
    // The reload has ended the damage, not a later round.
    sleep(Duration::from_millis(700));
    let log = daemon.stop();
    assert!(!log.contains("intact again"), "{log}");
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
    let mut daemon = copy.serve("0.3");
    // The last byte of the section table is padding.
    copy.write(319, 1);
    await_notice(&mut daemon, &[&copy.failed_reload("header or section table")]);
    copy.write(319, 0);
    await_notice(&mut daemon, &["intact again", "model.electra, reloaded"]);
    let log = daemon.stop();
    assert!(log.contains("header or section table: checksum mismatch"), "{log}");
}

/// The scrub must not compare the rest of a round with the checksums of the model before.
#[test]
fn another_model_is_no_damage() {
    let copy = Copy::new();
    let mut daemon = copy.serve("1");
    // Between the beginning and the end of a round.
    sleep(Duration::from_millis(300));
    copy.replace_with(&relabelled(copy.bytes.clone()));
    daemon.signal("HUP");
    await_notice(&mut daemon, &["model.electra, reloaded"]);
    sleep(Duration::from_millis(1500));
    let log = daemon.stop();
    assert!(!log.contains("scrub") && log.contains("reloaded"), "{log}");
}

#[test]
fn a_round_needs_time() {
    for seconds in ["0", "-1", "1e9", "often"] {
        let output = run(&["serve", "--tcp", "127.0.0.1:0", &format!("--scrub={seconds}")]);
        expect_code(&output, 2);
        assert!(stderr(&output).contains("more than 0 and at most 86400"), "{}", stderr(&output));
    }
}
