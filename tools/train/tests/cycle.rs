//! All steps in a row on a small made-up language: pre-training, a teacher, its student, int8, and
//! the answers of `electra classify` with the packed result.

#[expect(dead_code, reason = "other tests want more of it")]
mod common;
#[path = "common/distillation.rs"]
mod distillation;
#[path = "common/pack.rs"]
mod pack;
#[path = "common/pretraining.rs"]
mod pretraining;
#[path = "common/task.rs"]
mod task;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use common::{run, sentence, text};
use distillation::write_distillation;
use electra_train::classification::{TextClassifier, encode, tokenizer_of};
use electra_train::data::Example;
use electra_train::model::Int8;
use electra_train::model::folder::Folder;
use electra_train::random::{Purpose, Stream};
use pack::pack;
use serde_json::Value;

#[test]
fn from_text_to_an_answer_of_electra_classify() {
    let electra = build_electra();
    let start = Instant::now();
    let root = tempfile::tempdir().unwrap();
    let file = |name: &str| root.path().join(name);
    let settings = write_distillation(root.path());
    run(&["distil", text(&settings), "-o", text(&file("student"))]);
    let settings = file("quantize.toml");
    let content = "[model]\nfolder = \"student/model\"\n\
         [data]\nlabels = [\"NEGATIVE\", \"POSITIVE\"]\n\
         train = [{ path = \"train.tsv\", text = \"sentence\" }]\n\
         dev = [{ path = \"dev.tsv\", text = \"sentence\" }]\n\
         [training]\nepochs = 1\nbatch_size = 16\n\
         [optimizer]\nlearning_rate = 1e-4\n\
         [run]\ndevice = \"cpu\"\nsensitivity_texts = 0\n";
    fs::write(&settings, content).unwrap();
    run(&["quantize", text(&settings), "-o", text(&file("int8"))]);
    let (folder, packed) = (file("int8/model"), file("model.electra"));
    fs::write(&packed, pack(&folder)).unwrap();

    let mut random = Stream::new(11, Purpose::Selection, 1);
    let sentences: Vec<(String, bool)> = (0..100).map(|_| sentence(&mut random)).collect();
    let texts = file("new.txt");
    fs::write(&texts, sentences.iter().map(|(text, _)| format!("{text}\n")).collect::<String>()).unwrap();
    let said = say(&electra, &["classify", "--model", text(&packed), "--input", text(&texts), "--json"]);
    let answers: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), sentences.len());
    let label = |praise| if praise { "POSITIVE" } else { "NEGATIVE" };
    let right =
        answers.iter().zip(&sentences).filter(|(it, (_, praise))| it["label"] == label(*praise)).count();
    assert!(right > 90, "{right} of {}", answers.len());
    let mut largest = 0.0_f64;
    for (answer, expected) in answers.iter().zip(imitated(&folder, &sentences)) {
        let found = answer["score"].as_f64().unwrap();
        largest = largest.max((found - expected).abs());
    }
    // Scores are in f32; the logits have the same bits.
    assert!(largest < 1e-6, "{largest}");
    println!("{right} of {} right, {:.0?}", answers.len(), start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(300), "{:?}", start.elapsed());
}

/// Returns the score of the likeliest label of each sentence, computed by the trainer as the
/// runtime does.
fn imitated(folder: &Path, sentences: &[(String, bool)]) -> Vec<f64> {
    let folder = Folder::read(folder).unwrap();
    let examples: Vec<Example> = sentences
        .iter()
        .map(|(text, praise)| Example { text: text.clone(), label: usize::from(*praise) })
        .collect();
    let examples = encode(&examples, &tokenizer_of(&folder).unwrap(), 64, None).unwrap();
    let classifier = TextClassifier::read(&folder, tch::Device::Cpu).unwrap();
    let logits = classifier.logits_of_all(&examples, 0, Some(Int8::Everything)).unwrap();
    logits.iter().map(|row| 1.0 / (1.0 + (-(row[0] - row[1]).abs()).exp())).collect()
}

/// Builds the command `electra` of the main workspace, into the folder that `.ci/run release` uses
/// as well, and returns its path. It is built without tract, which takes minutes, and so without
/// `pack`.
fn build_electra() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = root.join("target/direct");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--release", "--quiet", "--locked", "-p", "electra-cli", "--no-default-features"])
        .args(["--manifest-path", text(&root.join("Cargo.toml")), "--target-dir", text(&target)])
        .status()
        .unwrap();
    assert!(status.success());
    target.join("release/electra")
}

/// Runs the command, which must succeed, and returns its output.
fn say(electra: &Path, arguments: &[&str]) -> String {
    let output = Command::new(electra).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
