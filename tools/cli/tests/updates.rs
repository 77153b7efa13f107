//! Tests of signatures and updates: `electra sign`, `electra verify`, `electra update`.

mod common;
#[path = "common/keys.rs"]
mod keys;
#[path = "common/models.rs"]
mod models;

use std::fs;
use std::path::Path;

use common::{expect_code, run, stderr, stdout};
use electra_pack::Source;
use keys::Keys;
use models::{forge, packed, undecided};

/// A folder with a model in use, version 2, and a new one, version 3.
struct Device {
    folder: tempfile::TempDir,
    model: String,
    new: String,
}

impl Device {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let model = packed(folder.path(), "classifier", |source| source.version(Some(2)));
        let it = Self { new: path(folder.path(), "new"), folder, model };
        it.put("new", |source| source.version(Some(3)));
        it
    }

    /// Writes the model in use with other metadata.
    fn put(&self, name: &str, change: impl Fn(Source) -> Source) -> String {
        let to = path(self.folder.path(), name);
        fs::write(&to, change(Source::new(&self.model)).change_metadata().expect("changed"))
            .expect("written");
        to
    }

    fn version(&self) -> Option<u32> {
        electra::ModelFile::open(&self.model).expect("intact").model().version()
    }

    /// Runs an update that must be refused with this message and change nothing.
    #[track_caller]
    fn refuse(&self, args: &[&str], message: &str) {
        let before = fs::read(&self.model).expect("readable");
        let refused = run(&[&["update", "--model", &self.model], args].concat());
        expect_code(&refused, 1);
        assert!(stderr(&refused).contains(message), "{}", stderr(&refused));
        assert_eq!(fs::read(&self.model).expect("readable"), before);
        assert!(!Path::new(&format!("{}.new", self.model)).exists());
    }

    #[track_caller]
    fn update(&self, args: &[&str]) -> String {
        let output = run(&[&["update", "--model", &self.model], args].concat());
        expect_code(&output, 0);
        stdout(&output)
    }
}

fn path(folder: &Path, name: &str) -> String {
    folder.join(name).to_str().expect("UTF-8").to_owned()
}

#[test]
fn a_better_model_replaces_the_old_one_and_a_rollback_returns() {
    let device = Device::new();
    let said = device.update(&[&device.new]);
    assert!(said.contains("version 3") && said.contains("version 2") && said.contains(".previous"), "{said}");
    assert_eq!(device.version(), Some(3));
    device.update(&["--rollback"]);
    assert_eq!(device.version(), Some(2));
    // The model that was rolled back is the previous one now.
    device.update(&["--rollback"]);
    assert_eq!(device.version(), Some(3));
    assert!(Path::new(&device.new).exists());
}

/// A model of an older packer has no golden sentences. It was in use, so a rollback returns to it.
#[test]
fn a_rollback_returns_to_a_model_without_golden_sentences() {
    let device = Device::new();
    let without = tempfile::tempdir().expect("a folder");
    fs::copy(undecided(without.path(), "classifier"), &device.model).expect("copied");
    device.update(&[&device.new]);
    assert_eq!(device.version(), Some(3));
    device.update(&["--rollback"]);
    assert_eq!(device.version(), None);
}

#[test]
fn worse_models_are_refused() {
    let device = Device::new();
    device.refuse(&["no-such-file"], "no-such-file");
    device.refuse(&["--rollback"], "no update has kept a previous model");
    let older = device.put("older", |source| source.version(Some(1)));
    device.refuse(&[&older], "the model has version 1, expected at least 2");
    let forged = device.put("forged", |source| source.version(Some(3)));
    forge(&forged, |file| {
        let at = file.len() - 64;
        file[at] ^= 1;
    });
    device.refuse(&[&forged], "golden sentence");
    let damaged = path(device.folder.path(), "damaged");
    let mut bytes = fs::read(&device.new).expect("readable");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&damaged, bytes).expect("written");
    device.refuse(&[&damaged], "damaged: section");
    let without = tempfile::tempdir().expect("a folder");
    let without = undecided(without.path(), "classifier");
    device.refuse(&[&without], "the model has version 0, expected at least 2");
    device.refuse(&[&without, "--allow-downgrade"], "has no golden sentences");
    let detector = tempfile::tempdir().expect("a folder");
    let detector = packed(detector.path(), "detector", |source| source.version(Some(9)));
    device.refuse(&[&detector], "expected one for classification, as the model in use has");
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/electra-small-sentiment/model.electra");
    device.refuse(&[shipped, "--allow-downgrade"], "the model has the labels NEGATIVE, NEUTRAL, POSITIVE");
    device.update(&[&older, "--allow-downgrade"]);
    assert_eq!(device.version(), Some(1));
}

#[test]
fn a_damaged_or_missing_model_can_be_replaced() {
    let device = Device::new();
    fs::write(&device.model, b"ELECTRA\0 damaged").expect("written");
    assert!(device.update(&[&device.new]).contains("there was no intact model before"));
    assert_eq!(device.version(), Some(3));
    fs::remove_file(&device.model).expect("removed");
    device.update(&[&device.new]);
    assert_eq!(device.version(), Some(3));
}

#[test]
fn a_key_demands_a_signature_also_of_the_previous_model() {
    let device = Device::new();
    let keys = Keys::new(device.folder.path(), "ours");
    let with_key = ["--public-key", keys.public.as_str()];
    let args = |more: &[&'static str]| [&with_key[..], more].concat();
    device.refuse(&[&args(&[])[..], &[&device.new]].concat(), "the model has no signature in");
    let signed = run(&["sign", &device.new, "--secret-key", &keys.secret]);
    // A command without the feature has no `sign`.
    match cfg!(feature = "sign") {
        true => expect_code(&signed, 0),
        false => keys.sign(&device.new),
    }
    keys.sign(&device.model);
    device.update(&[&args(&[])[..], &[&device.new]].concat());
    assert_eq!(device.version(), Some(3));
    for file in [&device.model, &format!("{}.previous", device.model)] {
        expect_code(&run(&["verify", file, "--public-key", &keys.public]), 0);
    }
    device.update(&args(&["--rollback"]));
    assert_eq!(device.version(), Some(2));
    let verified = run(&["verify", &device.model, "--public-key", &keys.public]);
    assert!(stdout(&verified).contains("trusted comment: a test"), "{}", stdout(&verified));
    let others = Keys::new(device.folder.path(), "others");
    let refused = run(&["verify", &device.model, "--public-key", &others.public]);
    expect_code(&refused, 1);
    assert!(stderr(&refused).contains("the signature is by the key"), "{}", stderr(&refused));
}

#[test]
fn wrong_keys_and_signatures_have_messages() {
    let device = Device::new();
    let keys = Keys::new(device.folder.path(), "ours");
    expect_code(&run(&["verify", &device.model]), 2);
    for (arguments, message) in [
        (["--public-key", "no-such-key"], "no-such-key"),
        (["--public-key", &device.model], "expected text in UTF-8"),
        (["--public-key", &keys.secret], "not a public key, expected a key file of minisign"),
    ] {
        let refused = run(&[&["verify", device.model.as_str()][..], &arguments].concat());
        expect_code(&refused, 1);
        assert!(stderr(&refused).contains(message), "{}", stderr(&refused));
    }
    fs::write(format!("{}.minisig", device.model), "no signature\n").expect("written");
    let refused = run(&["verify", &device.model, "--public-key", &keys.public]);
    expect_code(&refused, 1);
    assert!(stderr(&refused).contains("line 1 is wrong"), "{}", stderr(&refused));
}

#[cfg(feature = "sign")]
#[test]
fn sign_takes_protected_keys_and_replaces_only_signatures() {
    let device = Device::new();
    let folder = device.folder.path();
    let password = path(folder, "password");
    fs::write(&password, "secret words\n").expect("written");
    let pair = minisign::KeyPair::generate_encrypted_keypair(Some("secret words".to_owned())).expect("keys");
    let (secret, public) = (path(folder, "protected.key"), path(folder, "protected.pub"));
    fs::write(&secret, pair.sk.to_box(None).expect("a key").to_string()).expect("written");
    fs::write(&public, pair.pk.to_box().expect("a key").to_string()).expect("written");
    let sign = |more: &[&str]| run(&[&["sign", &device.model, "--secret-key", &secret], more].concat());
    expect_code(&sign(&["--password-file", &password, "--comment", "release 2"]), 0);
    let verified = run(&["verify", &device.model, "--public-key", &public]);
    assert!(stdout(&verified).contains("trusted comment: release 2"), "{}", stdout(&verified));
    fs::write(&password, "other words\n").expect("written");
    expect_code(&sign(&["--password-file", &password]), 1);
    expect_code(&sign(&["--password-file", &password, "--signature", &device.new]), 1);
    expect_code(&sign(&["--password-file", &password, "--comment", "two\nlines"]), 1);
}
