//! Commands on a finished folder: `walk-through`, `half`, `average` and `export-onnx`.

mod common;
#[path = "common/pretraining.rs"]
mod pretraining;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use common::{electra_train, metrics, refused, run, text, write_language};
use electra_train::classification::tokenizer_of;
use electra_train::model::folder::{Folder, WeightKind, read_tensors, write_tensors};
use pretraining::write_pretrain_settings;
use serde_json::{Value, json};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures");

#[test]
fn a_text_is_masked_guessed_and_judged() {
    let root = tempfile::tempdir().unwrap();
    write_language(root.path());
    let settings = write_pretrain_settings(root.path(), 150);
    let pretrained = root.path().join("pretrained");
    run(&["pretrain", text(&settings), "-o", text(&pretrained)]);

    let shown: Value =
        serde_json::from_str(&run(&["walk-through", text(&pretrained), "The meal was good.", "--json"]))
            .unwrap();
    assert_eq!(shown["tokens"].to_string(), r#"["[CLS]","the","meal","was","good",".","[SEP]"]"#);
    let steps = shown["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 5);
    for step in steps {
        let guesses = step["guesses"].as_array().unwrap();
        let chances: Vec<f64> = guesses.iter().map(|it| it[1].as_f64().unwrap()).collect();
        assert!(chances.is_sorted_by(|a, b| a >= b) && chances.iter().sum::<f64>() <= 1.0 + 1e-6);
        let position = step["position"].as_u64().unwrap() as usize;
        assert_ne!(step["replacement"], shown["tokens"][position]);
        assert_eq!(step["judged"].as_array().unwrap().len(), 7);
    }
    // After so few updates the generator knows the frequency of words. Random weights would give
    // each word about 1 in 64.
    let (guess, chance) = (&steps[1]["guesses"][0][0], steps[1]["guesses"][0][1].as_f64().unwrap());
    assert!([".", "a", "was"].contains(&guess.as_str().unwrap()) && chance > 0.06, "{guess} {chance}");
    let log = metrics(&pretrained);
    let accuracy = log.iter().rev().find_map(|line| line["rtd_accuracy"].as_f64()).unwrap();
    let untouched = shown["untouched"].as_array().unwrap();
    let suspected = untouched.iter().filter(|it| it.as_f64().unwrap() > 0.5).count();
    assert!(accuracy > 0.7 && suspected == 0, "{accuracy} {untouched:?}");

    let said = run(&["walk-through", text(&pretrained), "The meal was good."]);
    assert!(said.contains("[MASK] for meal") && said.contains("generator: "), "{said}");
    let message = refused(&["walk-through", root.path().to_str().unwrap(), "x"]);
    assert!(message.contains("generator/config.json: cannot be read"), "{message}");

    let (folder, halved) = (pretrained.join("discriminator"), root.path().join("half"));
    run(&["half", text(&folder), "-o", text(&halved)]);
    let [whole, rounded] = [&folder, &halved].map(|it| it.join("model.safetensors"));
    let size = |file| fs::metadata(file).unwrap().len() as f64;
    assert!(size(&rounded) < 0.55 * size(&whole));
    let (whole, rounded) = (read_tensors(&whole).unwrap(), read_tensors(&rounded).unwrap());
    assert_eq!(whole.len(), rounded.len());
    for (name, tensor) in &whole {
        let expected = tensor.to_kind(tch::Kind::Half).to_kind(tch::Kind::Float);
        assert_eq!(rounded[name], expected, "{name}");
        assert_ne!(rounded[name].numel(), 0);
    }
    for file in ["config.json", "vocab.txt"] {
        assert_eq!(fs::read(folder.join(file)).unwrap(), fs::read(halved.join(file)).unwrap());
    }

    let averaged = root.path().join("average");
    let folders = [text(&folder), text(&halved), text(&folder)];
    run(&[&["average"][..], &folders, &["-o", text(&averaged)]].concat());
    let mean = read_tensors(&averaged.join("model.safetensors")).unwrap();
    assert_eq!(mean.len(), whole.len());
    for (name, tensor) in &whole {
        let expected = tensor * (2.0 / 3.0) + &rounded[name] / 3.0;
        assert!(mean[name].allclose(&expected, 1e-6, 1e-8, false), "{name}");
        assert_ne!(mean[name], *tensor, "{name}");
    }
    let nothing = root.path().join("nothing");
    let generator = pretrained.join("generator");
    let message = refused(&["average", text(&folder), text(&generator), "-o", text(&nothing)]);
    assert!(
        message.contains("generator/config.json: intermediate_size: found 32, expected 128, as in"),
        "{message}"
    );
    assert!(!nothing.exists());
}

/// Copies a classifier into `root`, where the test may damage it, and returns its folder.
fn copy_of_classifier(root: &Path) -> PathBuf {
    let model = root.join("model");
    fs::create_dir(&model).unwrap();
    for name in ["config.json", "model.safetensors", "vocab.txt"] {
        fs::copy(Path::new(FIXTURES).join("classifier").join(name), model.join(name)).unwrap();
    }
    model
}

#[test]
fn existing_files_at_the_output_are_kept() {
    let root = tempfile::tempdir().unwrap();
    let model = copy_of_classifier(root.path());
    let before = fs::read(model.join("model.safetensors")).unwrap();
    let message = refused(&["half", text(&model), "-o", text(&model)]);
    assert!(
        message.contains("model: output: found the folder that is read, expected another one"),
        "{message}"
    );
    let message = refused(&["average", text(&model), text(&model), "-o", text(root.path())]);
    assert!(message.contains("output: found model in it, which would be lost"), "{message}");
    let config = model.join("config.json");
    let message = refused(&["export-onnx", text(&model), text(&config)]);
    assert!(message.contains("config.json: output: found a file that is read"), "{message}");
    let notes = root.path().join("notes.txt");
    fs::write(&notes, "mine").unwrap();
    let message = refused(&["export-onnx", text(&model), text(&notes)]);
    assert!(message.contains("notes.txt: output: found another file, expected a new one"), "{message}");
    assert_eq!(fs::read_to_string(&notes).unwrap(), "mine");
    fs::remove_file(notes).unwrap();
    assert!(fs::read(model.join("model.safetensors")).unwrap() == before);

    // With a slash at the end, and again over its own output.
    let half = format!("{}/", root.path().join("half").display());
    for _ in 0..2 {
        run(&["half", text(&model), "-o", &half]);
    }
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 2);

    // The reader of the output may stop early. A full disk is an error.
    let mut child =
        electra_train(&["average", text(&model), "-o", &half]).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = electra_train(&["average", text(&model), "-o", &half]).stdout(full).output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains("error: standard output: cannot be written: No space left"), "{message}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn weights_and_vocabularies_that_are_none_are_named() {
    let root = tempfile::tempdir().unwrap();
    let model = copy_of_classifier(root.path());
    let sound = fs::read(model.join("model.safetensors")).unwrap();
    let (half, onnx) = (root.path().join("half"), root.path().join("a.onnx"));
    let all = || {
        [
            refused(&["half", text(&model), "-o", text(&half)]),
            refused(&["average", text(&model), "-o", text(&half)]),
            refused(&["export-onnx", text(&model), text(&onnx)]),
        ]
    };
    // Positions of older checkpoints stay integers.
    let mut tensors = read_tensors(&model.join("model.safetensors")).unwrap();
    let positions = tch::Tensor::arange(5000, (tch::Kind::Int64, tch::Device::Cpu));
    tensors.insert("electra.embeddings.position_ids".to_owned(), positions.shallow_clone());
    write_tensors(&model.join("model.safetensors"), &tensors, WeightKind::F32).unwrap();
    run(&["half", text(&model), "-o", text(&half)]);
    let halved = read_tensors(&half.join("model.safetensors")).unwrap();
    assert_eq!(halved["electra.embeddings.position_ids"], positions);

    let (name, tensor) = tensors.iter().find(|(_, tensor)| tensor.kind() == tch::Kind::Float).unwrap();
    let _ = tensor.view(-1).get(0).fill_(f64::NAN);
    write_tensors(&model.join("model.safetensors"), &tensors, WeightKind::F32).unwrap();
    for message in all() {
        let expected = format!("model.safetensors: {name}: found a number that is not finite");
        assert!(message.contains(&expected), "{message}");
    }

    // Finite weights may give logits that are not finite.
    let labelled = root.path().join("a.tsv");
    fs::write(&labelled, "text\tlabel\nx\t0\n").unwrap();
    let _ = tensor.view(-1).get(0).fill_(0.0);
    let _ = tensors["classifier.out_proj.weight"].shallow_clone().fill_(3e38);
    write_tensors(&model.join("model.safetensors"), &tensors, WeightKind::F32).unwrap();
    for command in [&["evaluate"][..], &["calibrate", "-o", text(&half)]] {
        let message = refused(&[command, &[text(&model), text(&labelled)]].concat());
        assert!(
            message.contains("model.safetensors: logits: found ") && message.ends_with("finite numbers"),
            "{message}"
        );
    }

    fs::write(model.join("model.safetensors"), sound).unwrap();
    let evaluate =
        |more: &[&str]| refused(&[&["evaluate", text(&model), text(&labelled)][..], more].concat());
    for length in ["0", "100000"] {
        let message = evaluate(&["--max-length", length]);
        assert!(
            message.contains(&format!("--max-length: tokens: found {length}, expected 3 to ")),
            "{message}"
        );
    }
}

/// The trainer accepts the folders that the packer accepts. Both refuse the others with the same
/// words.
#[test]
fn folders_are_read_as_the_packer_reads_them() {
    let (root, fixtures) = (tempfile::tempdir().unwrap(), Path::new(FIXTURES));
    let lines = fs::read_to_string(fixtures.join("classifier/vocab.txt")).unwrap();
    let tokenizer = fs::read_to_string(fixtures.join("detector/tokenizer.json")).unwrap();
    let config = fs::read_to_string(fixtures.join("classifier/config.json")).unwrap();
    let swapped = {
        let mut document: Value = serde_json::from_str(&tokenizer).unwrap();
        let processing = json!({"type": "BertProcessing", "cls": ["[SEP]", 3], "sep": ["[CLS]", 2]});
        document["post_processor"] = processing;
        document.to_string()
    };
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n";
    let cases: [(&str, String, Option<&str>); 12] = [
        ("vocab.txt", lines.clone(), None),
        ("vocab.txt", lines.replace('\n', "\r\n"), None),
        ("vocab.txt", lines.replace("film\n", "the\n"), None),
        ("vocab.txt", lines.replace("film\n", "\u{2028}\n"), None),
        ("vocab.txt", lines.replace("film\n", "\n"), None),
        ("vocab.txt", lines.replace("[MASK]\n", "film\n"), Some("vocabulary: found no [MASK] among 96")),
        ("tokenizer.json", swapped, Some("post_processor.cls: found [\"[SEP]\",3]")),
        ("tokenizer_config.json", "{\"do_lower_case\": false}".into(), Some("do_lower_case: found false")),
        ("tokenizer_config.json", "{\"strip_accents\": false}".into(), Some("strip_accents: found false")),
        (
            "special_tokens_map.json",
            "{\"additional_special_tokens\": [\"[USER]\"]}".into(),
            Some("additional_special_tokens: found [\"[USER]\"]"),
        ),
        (
            "config.json",
            config.replacen('{', "{\"problem_type\": \"multi_label_classification\",", 1),
            Some("problem_type: found"),
        ),
        ("model.safetensors", pointer.to_owned(), Some("content: found a Git LFS pointer")),
    ];
    for (index, (file, content, refusal)) in cases.into_iter().enumerate() {
        let folder = root.path().join(index.to_string());
        fs::create_dir(&folder).unwrap();
        for name in ["config.json", "model.safetensors", "vocab.txt"] {
            fs::copy(fixtures.join("classifier").join(name), folder.join(name)).unwrap();
        }
        fs::write(folder.join(file), content).unwrap();
        let packer = electra_pack::hugging_face::read(&folder).map(|it| it.vocabulary);
        let trainer = Folder::read(&folder).and_then(|it| tokenizer_of(&it)).map(|it| it.pieces);
        match refusal {
            None => assert_eq!(trainer.unwrap(), packer.unwrap(), "{file}"),
            Some(expected) => {
                let (packer, trainer) = (packer.unwrap_err().to_string(), trainer.unwrap_err().to_string());
                assert!(packer.contains(expected) && trainer.contains(expected), "{packer}\n{trainer}");
            }
        }
    }
}

/// A folder as `transformers` 5 saves it, without a `vocab.txt`. The command also runs in an
/// environment without the path of libtorch.
#[test]
fn a_folder_with_tokenizer_json_alone_is_taken() {
    let (root, fixtures) = (tempfile::tempdir().unwrap(), Path::new(FIXTURES));
    let (folder, half) = (root.path().join("saved"), root.path().join("half"));
    fs::create_dir(&folder).unwrap();
    for (from, name) in [
        ("classifier", "config.json"),
        ("classifier", "model.safetensors"),
        ("detector", "tokenizer.json"),
        ("detector", "tokenizer_config.json"),
    ] {
        fs::copy(fixtures.join(from).join(name), folder.join(name)).unwrap();
    }
    let labelled = root.path().join("a.tsv");
    fs::write(&labelled, "text\tlabel\nthe film\tneutral\n").unwrap();
    let mut bare = electra_train(&["evaluate", text(&folder), text(&labelled)]);
    let output = bare.env_remove("LD_LIBRARY_PATH").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    run(&["half", text(&folder), "-o", text(&half)]);
    let lines = fs::read_to_string(half.join("vocab.txt")).unwrap();
    assert_eq!(lines, fs::read_to_string(fixtures.join("classifier/vocab.txt")).unwrap());
}

/// Tests elsewhere run these files in tract and in ONNX Runtime.
#[test]
fn the_fixtures_equal_a_new_export() {
    let root = tempfile::tempdir().unwrap();
    let fixtures = Path::new(FIXTURES);
    for name in ["classifier", "detector"] {
        for (file, more) in [("electra-train.onnx", None), ("electra-train-int8.onnx", Some("--int8"))] {
            let (folder, exported) = (fixtures.join(name), root.path().join(file));
            let mut arguments = vec!["export-onnx", text(&folder), text(&exported)];
            arguments.extend(more);
            run(&arguments);
            assert!(fs::read(&exported).unwrap() == fs::read(folder.join(file)).unwrap(), "{name}/{file}");
        }
    }
    // A folder without a model leaves no file behind.
    let nothing = root.path().join("nothing.onnx");
    let message = refused(&["export-onnx", text(root.path()), text(&nothing)]);
    assert!(message.contains("config.json: cannot be read"), "{message}");
    assert!(!nothing.exists());
}
