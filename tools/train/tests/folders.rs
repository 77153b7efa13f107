//! What becomes of a finished folder: shown with one text, rounded to f16, exported as ONNX.

mod common;

use std::fs;
use std::path::Path;

use common::{metrics, refused, run, text, write_language, write_pretrain_settings};
use electra_train::model::folder::read_tensors;
use serde_json::Value;

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
    // So few updates teach it how often words occur; random weights would give each about 1 in 64.
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
    assert!(message.contains("generator/config.json: content: found another model"), "{message}");
    assert!(!nothing.exists());
}

/// Tests elsewhere run those files in tract and in ONNX Runtime.
#[test]
fn the_fixtures_are_what_is_exported() {
    let root = tempfile::tempdir().unwrap();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures");
    for name in ["classifier", "detector"] {
        for (file, more) in [("electra-train.onnx", None), ("electra-train-int8.onnx", Some("--int8"))] {
            let (folder, exported) = (fixtures.join(name), root.path().join(file));
            let mut arguments = vec!["export-onnx", text(&folder), text(&exported)];
            arguments.extend(more);
            run(&arguments);
            assert!(fs::read(&exported).unwrap() == fs::read(folder.join(file)).unwrap(), "{name}/{file}");
        }
    }
    // What is no model leaves nothing behind.
    let nothing = root.path().join("nothing.onnx");
    let message = refused(&["export-onnx", text(root.path()), text(&nothing)]);
    assert!(message.contains("config.json: cannot be read"), "{message}");
    assert!(!nothing.exists());
}
