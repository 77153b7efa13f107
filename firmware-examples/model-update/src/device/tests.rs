//! The device on the host: updates as a sender performs them, and senders that do something else.

extern crate std;
use std::borrow::ToOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;
use std::string::{String, ToString};
use std::sync::OnceLock;
use std::vec::Vec;
use std::{env, format, fs, process, vec};

use minisign::KeyPair;

use super::*;
use crate::command::MAX_PIECE_BYTES;
use crate::flash::FLASH_BYTES;

const TEXT: &str = "the film is great, and the story was not too bad.";
const ARENA_BYTES: usize = 64 * 1024;

/// Returns a model file that host-models makes.
fn model(name: &str) -> Vec<u8> {
    static FILES: OnceLock<BTreeMap<String, Vec<u8>>> = OnceLock::new();
    let files = FILES.get_or_init(|| {
        let folder = env::temp_dir().join(format!("model-update-{}", process::id()));
        fs::create_dir(&folder).unwrap();
        host_models::write_updates(&folder).unwrap();
        let entries = fs::read_dir(&folder).unwrap().map(Result::unwrap);
        let files =
            entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()));
        let files = files.collect();
        fs::remove_dir_all(folder).unwrap();
        files
    });
    files[name].clone()
}

/// A device with its memory, the keys of its owner, and the keys of someone else.
struct Board {
    flash: Vec<u8>,
    arena: Vec<u8>,
    owner: KeyPair,
    other: KeyPair,
}

impl Board {
    /// Returns a device in whose slot A the factory placed a model.
    fn new(factory: &str) -> Self {
        let keys = || KeyPair::generate_unencrypted_keypair().unwrap();
        let mut board = Self {
            flash: vec![0; FLASH_BYTES + 64],
            arena: vec![0; ARENA_BYTES + 64],
            owner: keys(),
            other: keys(),
        };
        if !factory.is_empty() {
            let file = model(factory);
            aligned(&mut board.flash)[..file.len()].copy_from_slice(&file);
        }
        board
    }

    /// Starts the device, sends lines until it restarts, and returns its answers, after the state
    /// at the start.
    fn run<L: AsRef<str>>(&mut self, lines: impl IntoIterator<Item = L>) -> Vec<String> {
        let key = PublicKey::parse(&self.owner.pk.to_box().unwrap().to_string()).unwrap();
        let (flash, arena) = (aligned(&mut self.flash), aligned(&mut self.arena));
        let mut device = Device::start(flash, arena, key, || 0).unwrap();
        let mut said = vec![device.status().to_string()];
        for line in lines {
            said.push(match device.obey(line.as_ref()) {
                Ok(Answer::Restart) => return said,
                Ok(answer) => answer.to_string(),
                Err(refusal) => format!("refused: {refusal}"),
            });
        }
        said
    }

    /// Returns the last answer to these lines.
    fn last<L: AsRef<str>>(&mut self, lines: impl IntoIterator<Item = L>) -> String {
        self.run(lines).pop().unwrap()
    }

    /// Returns the lines that send a model, signed by the owner.
    fn update(&self, file: &[u8], version: u32) -> Vec<String> {
        let mut lines = vec![begin(file, version)];
        lines.extend(pieces(file, 0));
        lines.extend(signature(&self.owner, file));
        lines.push("finish".to_owned());
        lines
    }
}

fn aligned(bytes: &mut [u8]) -> &mut [u8] {
    let skipped = bytes.as_ptr().align_offset(64);
    let len = bytes.len() - 64;
    &mut bytes[skipped..skipped + len]
}

fn begin(file: &[u8], version: u32) -> String {
    let crc = u32::from_le_bytes(file[32..36].try_into().unwrap());
    format!("begin {} {crc:08x} {version}", file.len())
}

fn pieces(file: &[u8], offset: usize) -> Vec<String> {
    let chunks = file[offset..].chunks(MAX_PIECE_BYTES).enumerate();
    chunks
        .map(|(index, piece)| {
            let digits: String = piece.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("piece {} {digits}", offset + index * MAX_PIECE_BYTES)
        })
        .collect()
}

fn signature(keys: &KeyPair, file: &[u8]) -> Vec<String> {
    let signature = minisign::sign(Some(&keys.pk), &keys.sk, Cursor::new(file), None, None).unwrap();
    signature.to_string().lines().map(|line| format!("signature {line}")).collect()
}

#[test]
fn a_signed_model_is_installed_tried_and_confirmed() {
    let mut board = Board::new("v1.electra");
    let classify = format!("classify {TEXT}");
    let first = board.run([&classify[..], "self-test"]);
    assert!(first[0].starts_with("slot A, factory, version 1, model "), "{first:?}");
    assert_eq!(first[2], "passed: 3 golden sentences");
    let mut lines = board.update(&model("v2.electra"), 2);
    lines.extend([classify.clone(), "restart".to_owned()]);
    let said = board.run(lines);
    assert!(said[said.len() - 2].starts_with("installed version 2; restart begins its trial"), "{said:?}");
    assert_eq!(said[said.len() - 1], first[1], "the old model answers until the restart");
    let trial = board.run([&classify, "self-test", "confirm"]);
    assert!(trial[0].starts_with("slot B, trial 1, version 2, model "), "{trial:?}");
    assert_ne!(trial[1], first[1]);
    assert_eq!(trial[2..], ["passed: 3 golden sentences", "confirmed"]);
    assert!(board.last([""; 0]).starts_with("slot B, confirmed, version 2, model "));
    assert!(board.last(["rollback", "never reached"]).starts_with("slot B"));
    let back = board.run([&classify]);
    assert!(back[0].starts_with("slot A, confirmed, version 1, model ") && back[1] == first[1], "{back:?}");
}

#[test]
fn a_device_without_a_model_receives_one() {
    let mut board = Board::new("");
    let said = board.run(["classify x", "self-test", "confirm", "rollback", "resume"]);
    assert!(said[0].starts_with("no model: "), "{said:?}");
    assert_eq!(said[1..3], ["refused: no usable model; send one", "refused: no usable model; send one"]);
    assert!(said[3] == "confirmed" && said[4].starts_with("refused: the other slot holds no whole model"));
    assert_eq!(said[5], "refused: no model is being received; begin or resume first");
    let lines = board.update(&model("v1.electra"), 1);
    assert!(board.last(lines).starts_with("installed version 1"));
    assert!(board.last([""; 0]).starts_with("slot B, trial 1, version 1"));
}

#[test]
fn an_interrupted_update_is_resumed() {
    let mut board = Board::new("v1.electra");
    let file = model("v2.electra");
    let lines = board.update(&file, 2);
    assert_eq!(board.last(&lines[..61]), format!("receiving version 2 at {}", 60 * MAX_PIECE_BYTES));
    let offset = 60 * MAX_PIECE_BYTES / 4096 * 4096;
    let said = board.run([&lines[61], "resume", &lines[61]]);
    assert!(said[1].starts_with("refused: no model is being received"), "{said:?}");
    assert_eq!(said[2], format!("receiving version 2 at {offset}"));
    assert!(said[3].starts_with("refused: offset of the piece: 14400, expected 12288"), "{said:?}");
    let mut lines = vec!["resume".to_owned()];
    lines.extend(pieces(&file, offset));
    lines.push("finish".to_owned());
    assert!(board.last(&lines).starts_with("refused: signature: not a signature"), "no signature arrived");
    // The model is kept, but its last sector is not complete.
    let mut lines = vec!["resume".to_owned()];
    lines.extend(pieces(&file, file.len() / 4096 * 4096));
    lines.extend(signature(&board.owner, &file));
    lines.push("finish".to_owned());
    assert!(board.last(&lines).starts_with("installed version 2"));
}

/// Sends a model, signed by the owner, to a device with version 2 and returns the last answer.
fn refusal_of(name: &str, version: u32) -> String {
    let mut board = Board::new("v2.electra");
    let lines = board.update(&model(name), version);
    let said = board.last(&lines);
    assert!(board.last([""; 0]).starts_with("slot A, confirmed, version 2"), "{name}: the model changed");
    said
}

#[test]
fn models_that_must_not_run_are_refused() {
    for (name, version, refusal) in [
        ("forged.electra", 3, "refused: golden sentence: logit 0 has the bits "),
        ("no-golden.electra", 3, "refused: model: no golden sentences, expected at least one"),
        ("labels.electra", 3, "refused: model: other labels than the model in use"),
        ("threshold.electra", 3, "refused: model: metadata: the threshold of a label is not a number"),
        ("detector.electra", 3, "refused: model: no classification head with two labels or more"),
        ("v3.electra", 4, "refused: version of the model: 3, expected the announced 4"),
    ] {
        let said = refusal_of(name, version);
        assert!(said.starts_with(refusal), "{name}: {said}");
    }
}

#[test]
fn an_older_version_is_refused() {
    let mut board = Board::new("v2.electra");
    let file = model("v1.electra");
    let said = board.last([begin(&file, 1)]);
    assert_eq!(said, "refused: version of the model: 1, expected at least 2 (the active model)");
    // The announcement cannot hide the version in the file.
    assert_eq!(refusal_of("v1.electra", 3), "refused: version of the model: 1, expected the announced 3");
}

#[test]
fn only_the_owner_can_sign() {
    let mut board = Board::new("v1.electra");
    let file = model("v2.electra");
    let sent = || [vec![begin(&file, 2)], pieces(&file, 0)].concat();
    let finish = vec!["finish".to_owned()];
    let lines = [sent(), signature(&board.other, &file), finish.clone()].concat();
    assert!(board.last(lines).starts_with("refused: signature: the signature is by the key "));
    let lines = [sent(), signature(&board.owner, &model("v3.electra")), finish.clone()].concat();
    assert!(board.last(lines).starts_with("refused: signature: the signature belongs to another file"));
    let mut changed = signature(&board.owner, &file);
    changed[2] += "0";
    let lines = [sent(), changed, finish.clone()].concat();
    assert_eq!(board.last(lines), "refused: signature: the trusted comment of the signature was changed");
    // A byte changes on the way, and the announced checksum is that of the signed file.
    let mut damaged = file.clone();
    damaged[20_000] ^= 1;
    let lines = [vec![begin(&file, 2)], pieces(&damaged, 0), signature(&board.owner, &file), finish].concat();
    assert!(board.last(lines).starts_with("refused: the received bytes do not match"));
    assert!(board.last(["status"]).starts_with("slot A, confirmed, version 1"));
}

#[test]
fn an_unconfirmed_trial_ends() {
    let mut board = Board::new("v1.electra");
    let lines = board.update(&model("v2.electra"), 2);
    board.run(lines);
    let starts: Vec<String> = (0..5).map(|_| board.last([""; 0])).collect();
    let words: Vec<&str> = starts.iter().map(|start| start.split(", model").next().unwrap()).collect();
    let expected = [
        "slot B, trial 1, version 2",
        "slot B, trial 2, version 2",
        "slot B, trial 3, version 2",
        "slot A, unconfirmed update undone, version 1",
        "slot A, confirmed, version 1",
    ];
    assert_eq!(words, expected);
}

#[test]
fn a_signature_has_four_lines_and_can_be_sent_again() {
    let mut board = Board::new("v1.electra");
    let first = "signature untrusted comment: x";
    let said = board.run(["signature a", "signature b", "signature c", "signature d", "signature e", first]);
    assert_eq!(said[4], "signature: 4 of 4 lines");
    assert!(said[5].starts_with("refused: signature: more than four lines"), "{said:?}");
    assert_eq!(said[6], "signature: 1 of 4 lines");
    let long = format!("signature {}", "x".repeat(500));
    let said = board.run([&long, &long, &long]);
    assert!(said[2].starts_with("signature: 2") && said[3].starts_with("refused: signature: more than"));
}

/// Random lines, most of them almost right, never stop the device, and never change the model.
#[test]
fn no_line_panics() {
    let mut board = Board::new("v1.electra");
    let file = model("v2.electra");
    let good = board.update(&file, 2);
    let words =
        ["status", "begin", "piece", "signature", "resume", "finish", "confirm", "rollback", "self-test"];
    let fields =
        ["", " ", "0", "1", "00", "4294967295", "4294967296", "30528", "-1", "26432b78", "\u{1f600}"];
    let mut state = 1u64;
    let mut below = |bound: usize| {
        // Knuth's MMIX generator.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % bound
    };
    let mut kinds = BTreeSet::new();
    for round in 0..60 {
        let lines: Vec<String> = (0..200)
            .map(|_| match below(4) {
                0 => (0..below(5)).fold(words[below(words.len())].to_owned(), |line, _| {
                    line + " " + fields[below(fields.len())]
                }),
                1 => good[below(good.len())].clone(),
                2 => good[below(20)].clone(),
                _ => {
                    let mut line: Vec<char> = good[below(good.len())].chars().collect();
                    let at = below(line.len());
                    line[at] = ['\u{0}', ' ', 'g', '9', '\u{e9}'][below(5)];
                    line.into_iter().collect()
                }
            })
            .collect();
        for said in board.run(&lines) {
            kinds.insert(said.split([':', ';']).nth(1).unwrap_or("-").to_owned());
            assert!(!said.starts_with("installed"), "round {round}: {said}");
        }
        assert!(board.last(["status"]).contains("version 1"));
    }
    assert!(kinds.len() > 10, "{kinds:?}");
}

/// Every single cut of the memory is a device that cannot start, never a panic.
#[test]
fn a_refusal_is_a_value() {
    let mut board = Board::new("v1.electra");
    let key = PublicKey::parse(&board.owner.pk.to_box().unwrap().to_string()).unwrap();
    let arena = &mut [0; 64][..];
    assert!(Device::start(&mut [], &mut [], key, || 0).is_err());
    let mut device = Device::start(aligned(&mut board.flash), arena, key, || 0).unwrap();
    assert!(matches!(device.obey("classify x"), Err(Refusal::Run(_))), "the arena is too small");
    assert!(matches!(device.obey("self-test"), Err(Refusal::Run(_))));
}
