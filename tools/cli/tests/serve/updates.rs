//! A reload takes a model only if it passes all checks, and gives it up if its first texts fail.

use std::fs;

use electra_pack::Source;

use crate::common::{electra, expect_code, stderr};
use crate::daemon::Daemon;
use crate::keys::Keys;
use crate::models::{forge, overflowing, packed};

/// Puts a file in the place of another one, as an update does.
fn put(from: &str, to: &str) {
    fs::copy(from, format!("{to}.copy")).expect("copied");
    fs::rename(format!("{to}.copy"), to).expect("renamed");
}

fn reload(daemon: &mut Daemon) -> String {
    daemon.signal("HUP");
    daemon.expect_notice("RELOADING=1");
    daemon.expect_notice("READY=1")
}

#[test]
fn only_signed_models_are_served_if_a_key_is_given() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = packed(folder.path(), "classifier", |source| source);
    let keys = Keys::new(folder.path(), "ours");
    let socket = folder.path().join("socket");
    let mut command = electra();
    command.args(["serve", "--model", &model, "--socket"]).arg(&socket);
    let refused = command.env("ELECTRA_PUBLIC_KEY", &keys.public).output().expect("it starts");
    expect_code(&refused, 1);
    assert!(stderr(&refused).contains("the model has no signature in"), "{}", stderr(&refused));

    keys.sign(&model);
    let mut daemon = Daemon::start(&["--model", &model, "--public-key", &keys.public]);
    let answer = daemon.ask("a text");
    // The signature of the old model does not fit the new one.
    let renamed = Source::new(&model).name(Some("new".to_owned())).change_metadata().expect("changed");
    let new = folder.path().join("new").to_str().expect("UTF-8").to_owned();
    fs::write(&new, renamed).expect("written");
    put(&new, &model);
    let notice = reload(&mut daemon);
    assert!(notice.contains("the signature belongs to another file, or the file was changed"), "{notice}");
    assert_eq!(daemon.ask("a text"), answer);
    Keys::new(folder.path(), "others").sign(&model);
    let notice = reload(&mut daemon);
    assert!(notice.contains("the signature is by the key"), "{notice}");
    keys.sign(&model);
    assert!(reload(&mut daemon).contains("reloaded"));
    drop(daemon.stop());
}

#[test]
fn a_reload_refuses_an_older_version_and_wrong_golden_sentences() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = packed(folder.path(), "classifier", |source| source.version(Some(3)));
    let older = tempfile::tempdir().expect("a folder");
    let older = packed(older.path(), "classifier", |source| source.version(Some(2)));
    let newer = folder.path().join("newer").to_str().expect("UTF-8").to_owned();
    fs::copy(&model, &newer).expect("copied");

    let mut daemon = Daemon::start(&["--model", &model]);
    put(&older, &model);
    let notice = reload(&mut daemon);
    assert!(notice.contains("the model has version 2, expected at least 3"), "{notice}");
    // A bias of the last layer is wrong, and all checksums are right.
    put(&newer, &model);
    forge(&model, |file| {
        let at = file.len() - 64;
        file[at] ^= 1;
    });
    let notice = reload(&mut daemon);
    assert!(notice.contains("golden sentence"), "{notice}");
    put(&newer, &model);
    assert!(reload(&mut daemon).contains("reloaded"));
    drop(daemon.stop());

    let mut daemon = Daemon::start(&["--model", &model, "--allow-downgrade"]);
    put(&older, &model);
    assert!(reload(&mut daemon).contains("reloaded"));
    drop(daemon.stop());
}

/// The new model fails on every text. No client notices.
#[test]
fn a_model_that_fails_on_its_first_texts_is_given_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = packed(folder.path(), "classifier", |source| source);
    let failing = tempfile::tempdir().expect("a folder");
    let failing = overflowing(failing.path(), "classifier");
    let mut daemon = Daemon::start(&["--model", &model, "--threads", "2"]);
    let answer = daemon.ask("a text");
    put(&failing, &model);
    assert!(reload(&mut daemon).contains("reloaded"));
    // Both workers get texts.
    for _ in 0..20 {
        assert_eq!(daemon.ask("a text"), answer);
    }
    let notice = daemon.expect_notice("READY=1");
    assert!(notice.contains("failed on one of its first texts"), "{notice}");
    let log = daemon.stop();
    assert_eq!(log.matches("failed on one of its first texts").count(), 1, "{log}");
}

/// After its first texts a model is kept: a later failure is that of the text.
#[test]
fn a_model_that_works_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = packed(folder.path(), "classifier", |source| source);
    let mut daemon = Daemon::start(&["--model", &model, "--threads", "2"]);
    let answer = daemon.ask("a text");
    for _ in 0..3 {
        assert!(reload(&mut daemon).contains("reloaded"));
        for _ in 0..20 {
            assert_eq!(daemon.ask("a text"), answer);
        }
    }
    let log = daemon.stop();
    assert!(!log.contains("first texts"), "{log}");
}
