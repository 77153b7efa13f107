//! Compares the reader of Hugging Face folders with the output of PyTorch, and tests its refusals.

mod common;

use std::fs;

use common::{Broken, assert_refused, assert_tensors, classification, config, expected, fixture};
use electra_pack::checkpoint::{Checkpoint, Head};
use electra_pack::error::Error;
use electra_pack::hugging_face::read;
use half::{bf16, f16};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::{Value, json};

const TEXT: [&str; 3] = ["config.json", "model.safetensors", "vocab.txt"];
const JSON: [&str; 4] = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"];

fn classifier() -> Broken {
    Broken::copy("classifier", &TEXT)
}

fn detector() -> Broken {
    Broken::copy("detector", &JSON)
}

#[test]
fn f32_checkpoints_equal_what_pytorch_wrote() {
    let classifier = read(&fixture("classifier")).unwrap();
    assert_eq!(classifier.config, config(classification()));
    assert_tensors(&classifier, &expected("classifier"));
    let detector = read(&fixture("detector")).unwrap();
    assert_eq!(detector.config, config(Head::ReplacedTokenDetection));
    assert_tensors(&detector, &expected("detector"));
}

#[test]
fn half_precision_checkpoints_are_the_rounded_f32_ones() {
    let compare = |half: Checkpoint, whole: Checkpoint, round: fn(f32) -> f32| {
        assert_eq!(half.config, whole.config);
        assert_eq!(half.vocabulary, whole.vocabulary);
        assert_eq!(half.tensors.len(), whole.tensors.len());
        for (name, tensor) in &whole.tensors {
            let rounded: Vec<f32> = tensor.data.iter().map(|&value| round(value)).collect();
            assert_eq!(half.tensors[name].data, rounded, "{name}");
        }
    };
    let read = |name| read(&fixture(name)).unwrap();
    compare(read("classifier-f16"), read("classifier"), |value| f16::from_f32(value).to_f32());
    compare(read("detector-bf16"), read("detector"), |value| bf16::from_f32(value).to_f32());
}

#[test]
fn both_vocabulary_formats_give_the_same_tokens() {
    let lines = fs::read_to_string(fixture("classifier").join("vocab.txt")).unwrap();
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines.len(), 96);
    assert_eq!(read(&fixture("classifier")).unwrap().vocabulary, lines);
    assert_eq!(read(&fixture("detector")).unwrap().vocabulary, lines);
}

#[test]
fn labels_follow_ids_and_not_the_order_in_the_file() {
    let folder = classifier();
    let content = fs::read_to_string(folder.file("config.json")).unwrap();
    let shuffled = content.replace("\"0\": \"negative\",", "\"2\": \"positive\", \"0\": \"negative\",");
    folder.write(
        "config.json",
        shuffled.replace("\"1\": \"neutral\",\n    \"2\": \"positive\"", "\"1\": \"neutral\""),
    );
    assert_eq!(read(folder.path()).unwrap().config.head, classification());
}

#[test]
fn labels_are_numbered_when_the_config_names_none() {
    let folder = classifier();
    folder.set("config.json", "/id2label", Value::Null);
    folder.set("config.json", "/num_labels", json!(3));
    let labels = ["LABEL_0", "LABEL_1", "LABEL_2"].map(str::to_owned).to_vec();
    assert_eq!(read(folder.path()).unwrap().config.head, Head::Classification { labels });
    folder.set("config.json", "/num_labels", Value::Null);
    assert_refused(
        read(folder.path()),
        &["classifier.out_proj", "found shape [3", "expected shape [2", "2 labels"],
    );
}

#[test]
fn sharded_weights_are_put_together() {
    let folder = classifier();
    let whole = read(folder.path()).unwrap();
    let bytes = fs::read(folder.file("model.safetensors")).unwrap();
    let views = SafeTensors::deserialize(&bytes).unwrap().tensors();
    let (left, right) = views.split_at(views.len() / 2);
    let mut weight_map = serde_json::Map::new();
    for (name, part) in [("one.safetensors", left), ("two.safetensors", right)] {
        folder.write(name, safetensors::serialize(part.to_vec(), None).unwrap());
        weight_map.extend(part.iter().map(|(tensor, _)| (tensor.clone(), json!(name))));
    }
    fs::remove_file(folder.file("model.safetensors")).unwrap();
    let index = "model.safetensors.index.json";
    folder.write(index, json!({ "weight_map": weight_map }).to_string());
    assert_eq!(read(folder.path()).unwrap(), whole);

    folder.set(index, "/weight_map/classifier.dense.bias", json!("../one.safetensors"));
    assert_refused(
        read(folder.path()),
        &[index, "weight_map.classifier.dense.bias", "../one", "same folder"],
    );
}

#[test]
fn unsupported_configurations_are_refused() {
    for (field, value, expected) in [
        ("model_type", json!("bert"), "\"electra\""),
        ("architectures", json!(["ElectraForMaskedLM"]), "ElectraForPreTraining"),
        ("architectures", json!(["ElectraForMaskedLM"]), "ElectraForSequenceClassification"),
        ("architectures", Value::Null, "ElectraForPreTraining"),
        ("hidden_act", json!("relu"), "\"gelu\""),
        ("hidden_act", json!("gelu_new"), "\"gelu\""),
        ("position_embedding_type", json!("relative_key"), "\"absolute\""),
        ("is_decoder", json!(true), "false"),
        ("problem_type", json!("multi_label_classification"), "\"single_label_classification\""),
        ("num_attention_heads", json!(0), "1 to 2"),
        ("num_attention_heads", json!(3), "1 to 2"),
        ("hidden_size", json!(40), "a multiple of 16"),
        ("hidden_size", json!(-32), "a non-negative integer"),
        ("hidden_size", json!("32"), "a non-negative integer"),
        ("hidden_size", json!(1e300), "a non-negative integer"),
        ("embedding_size", json!(8), "16 to"),
        ("embedding_size", json!(24), "a multiple of 16"),
        ("intermediate_size", json!(72), "a multiple of 16"),
        ("num_hidden_layers", json!(0), "1 to"),
        ("num_hidden_layers", json!(u64::MAX), "1 to"),
        ("max_position_embeddings", json!(0), "3 to"),
        ("type_vocab_size", json!(0), "1 to"),
        ("vocab_size", json!(65_536), "65535"),
        ("layer_norm_eps", json!(0.0), "above 0"),
        ("layer_norm_eps", json!(-1e-12), "above 0"),
        ("id2label", json!({"0": "only"}), "2 to"),
        ("id2label", json!([]), "an object"),
        ("num_labels", json!(2), "3, the number of names"),
    ] {
        let folder = classifier();
        folder.set("config.json", &format!("/{field}"), value.clone());
        let found = value.as_object().map_or_else(
            || {
                if value.is_null() { "nothing".into() } else { value.to_string() }
            },
            |labels| labels.len().to_string(),
        );
        assert_refused(read(folder.path()), &["config.json", field, &format!("found {found}"), expected]);
    }
    let folder = classifier();
    folder.set("config.json", "/id2label", json!({"0": "a", "1": "b", "3": "d"}));
    assert_refused(read(folder.path()), &["config.json", "id2label.2", "found nothing", "from 0 to 2"]);
    // The kernels support a width of 48 with 3 heads of 16, but not with 2 heads of 24.
    folder.set("config.json", "/id2label", Value::Null);
    folder.set("config.json", "/hidden_size", json!(48));
    assert_refused(read(folder.path()), &["num_attention_heads", "2 with hidden_size 48", "multiple of 16"]);
}

#[test]
fn sizes_that_contradict_the_weights_are_refused() {
    for (field, value, tensor) in [
        ("vocab_size", 97, "electra.embeddings.word_embeddings.weight"),
        ("embedding_size", 32, "electra.embeddings"),
        ("hidden_size", 64, "found shape"),
        ("intermediate_size", 128, "intermediate.dense"),
        ("max_position_embeddings", 64, "electra.embeddings.position_embeddings.weight"),
        ("type_vocab_size", 1, "electra.embeddings.token_type_embeddings.weight"),
        ("num_hidden_layers", 1, "electra.encoder.layer.1."),
        ("num_hidden_layers", 3, "electra.encoder.layer.2."),
    ] {
        let folder = classifier();
        folder.set("config.json", &format!("/{field}"), json!(value));
        assert_refused(read(folder.path()), &["model.safetensors", tensor, "found ", "expected "]);
    }
    let folder = detector();
    folder.set("config.json", "/architectures", json!(["ElectraForSequenceClassification"]));
    assert_refused(
        read(folder.path()),
        &["model.safetensors", "discriminator_predictions", "no such tensor"],
    );
}

/// Rewrites `model.safetensors` with a changed type, shape or content of one tensor.
fn change_tensor(folder: &Broken, name: &str, change: impl Fn(&mut Dtype, &mut Vec<usize>, &mut Vec<u8>)) {
    let bytes = fs::read(folder.file("model.safetensors")).unwrap();
    let stored = SafeTensors::deserialize(&bytes).unwrap();
    let view = stored.tensor(name).unwrap();
    let (mut dtype, mut shape, mut data) = (view.dtype(), view.shape().to_vec(), view.data().to_vec());
    change(&mut dtype, &mut shape, &mut data);
    let mut views = stored.tensors();
    views.retain(|(other, _)| other != name);
    views.push((name.to_owned(), TensorView::new(dtype, shape, &data).unwrap()));
    folder.write("model.safetensors", safetensors::serialize(views, None).unwrap());
}

#[test]
fn unusable_tensors_are_refused() {
    let name = "electra.encoder.layer.1.output.dense.bias";
    for (value, found) in [(f32::NAN, "NaN at index 5"), (f32::INFINITY, "inf at index 5")] {
        let folder = classifier();
        change_tensor(&folder, name, |_, _, data| data[20..24].copy_from_slice(&value.to_le_bytes()));
        assert_refused(read(folder.path()), &["model.safetensors", name, found, "expected finite values"]);
    }
    let folder = classifier();
    change_tensor(&folder, name, |dtype, _, _| *dtype = Dtype::I32);
    assert_refused(read(folder.path()), &["model.safetensors", name, "found type I32", "F32, F16 or BF16"]);
    let folder = classifier();
    change_tensor(&folder, name, |_, shape, _| *shape = vec![1, 32]);
    assert_refused(read(folder.path()), &[name, "found shape [1, 32]", "expected shape [32]"]);

    let folder = classifier();
    let bytes = fs::read(folder.file("model.safetensors")).unwrap();
    let mut views = SafeTensors::deserialize(&bytes).unwrap().tensors();
    views.retain(|(other, _)| other != name);
    folder.write("model.safetensors", safetensors::serialize(views.clone(), None).unwrap());
    assert_refused(read(folder.path()), &["model.safetensors", name, "found nothing", "shape [32]"]);
    let extra = "electra.encoder.layer.0.crossattention.self.query.bias";
    let view = views[0].1.clone();
    views.push((extra.to_owned(), view));
    folder.write("model.safetensors", safetensors::serialize(views, None).unwrap());
    assert_refused(
        read(folder.path()),
        &["model.safetensors", extra, "found a tensor of shape", "no such tensor"],
    );
}

#[test]
fn other_tokenizers_are_refused() {
    for (file, pointer, value, field, expected) in [
        ("tokenizer_config.json", "/do_lower_case", json!(false), "do_lower_case", "uncased"),
        ("tokenizer_config.json", "/strip_accents", json!(false), "strip_accents", "true"),
        ("tokenizer_config.json", "/tokenize_chinese_chars", json!(false), "tokenize_chinese_chars", "true"),
        (
            "tokenizer_config.json",
            "/tokenizer_class",
            json!("BertJapaneseTokenizer"),
            "tokenizer_class",
            "ElectraTokenizer",
        ),
        ("tokenizer_config.json", "/unk_token", json!({"content": "<unk>"}), "unk_token", "[UNK]"),
        ("tokenizer_config.json", "/split_special_tokens", json!(true), "split_special_tokens", "false"),
        ("tokenizer_config.json", "/never_split", json!(["x"]), "never_split", "[]"),
        ("tokenizer.json", "/model/type", json!("BPE"), "model.type", "WordPiece"),
        ("tokenizer.json", "/model/unk_token", json!("<unk>"), "model.unk_token", "[UNK]"),
        (
            "tokenizer.json",
            "/model/continuing_subword_prefix",
            json!(""),
            "model.continuing_subword_prefix",
            "##",
        ),
        (
            "tokenizer.json",
            "/model/max_input_chars_per_word",
            json!(50),
            "model.max_input_chars_per_word",
            "100",
        ),
        ("tokenizer.json", "/model/vocab", json!({}), "vocabulary", "[PAD]"),
        ("tokenizer.json", "/model/vocab/the", json!(7), "model.vocab.", "a unique id"),
        ("tokenizer.json", "/model/vocab/the", json!(1_000_000), "model.vocab.the", "a unique id"),
        ("tokenizer.json", "/normalizer", Value::Null, "normalizer", "an object"),
        ("tokenizer.json", "/normalizer/type", json!("NFC"), "normalizer.type", "BertNormalizer"),
        ("tokenizer.json", "/normalizer/lowercase", json!(false), "normalizer.lowercase", "uncased"),
        ("tokenizer.json", "/normalizer/strip_accents", json!(false), "normalizer.strip_accents", "true"),
        ("tokenizer.json", "/normalizer/clean_text", json!(false), "normalizer.clean_text", "true"),
        (
            "tokenizer.json",
            "/pre_tokenizer/type",
            json!("Whitespace"),
            "pre_tokenizer.type",
            "BertPreTokenizer",
        ),
        ("tokenizer.json", "/post_processor/single", json!([]), "post_processor.single", "[CLS]"),
        (
            "tokenizer.json",
            "/post_processor/special_tokens/[CLS]/ids",
            json!([3]),
            "post_processor.special_tokens.[CLS].ids",
            "expected [2]",
        ),
        ("tokenizer.json", "/post_processor/special_tokens", Value::Null, "special_tokens", "ids of [CLS]"),
        (
            "tokenizer.json",
            "/post_processor",
            json!({"type": "BertProcessing", "cls": ["[SEP]", 3], "sep": ["[CLS]", 2]}),
            "post_processor.cls",
            "expected [\"[CLS]\",2]",
        ),
        (
            "tokenizer.json",
            "/post_processor",
            json!({"type": "BertProcessing", "cls": ["[CLS]", 2], "sep": ["[SEP]", 4]}),
            "post_processor.sep",
            "expected [\"[SEP]\",3]",
        ),
        ("tokenizer.json", "/added_tokens/0/content", json!("[NEW]"), "added_tokens[0]", "no added tokens"),
        ("tokenizer.json", "/added_tokens/0/id", json!(5), "added_tokens[0].id", "the id of [PAD]"),
        ("tokenizer.json", "/added_tokens/4/lstrip", json!(true), "added_tokens[4].lstrip", "false"),
        ("tokenizer.json", "/added_tokens", json!([]), "added_tokens", "[PAD]"),
    ] {
        let folder = detector();
        folder.set(file, pointer, value);
        assert_refused(read(folder.path()), &[file, field, "found ", expected]);
    }
}

#[test]
fn settings_beside_a_vocabulary_are_obeyed() {
    let refused = |file: &str, content: Value, parts: &[&str]| {
        for folder in [classifier(), detector()] {
            folder.write(file, content.to_string());
            assert_refused(read(folder.path()), &[&[file], parts].concat());
        }
    };
    let map = |field: &str, value: Value| json!({ "cls_token": "[CLS]", field: value });
    refused("special_tokens_map.json", map("sep_token", json!("[CLS]")), &["sep_token", "\"[SEP]\""]);
    refused(
        "special_tokens_map.json",
        map("pad_token", json!({"content": "<pad>"})),
        &["pad_token", "<pad>", "\"[PAD]\""],
    );
    let more = map("additional_special_tokens", json!(["[USER]"]));
    refused("special_tokens_map.json", more, &["additional_special_tokens", "[USER]", "expected []"]);
    refused("added_tokens.json", json!({"[MASK]": 5}), &["[MASK]", "found 5", "expected 4"]);
    let decoder = json!({"added_tokens_decoder": {"3": {"content": "[CLS]"}}});
    refused("tokenizer_config.json", decoder, &["added_tokens_decoder.3", "[CLS] at 2"]);
    for folder in [classifier(), detector()] {
        folder.write("special_tokens_map.json", map("additional_special_tokens", json!([])).to_string());
        folder.write("added_tokens.json", json!({"[MASK]": 4}).to_string());
        read(folder.path()).unwrap();
    }
}

#[test]
fn vocabularies_that_do_not_fit_are_refused() {
    let lines = fs::read_to_string(fixture("classifier").join("vocab.txt")).unwrap();
    let folder = classifier();
    let with = |text: String| {
        folder.write("vocab.txt", text);
        read(folder.path())
    };
    assert_eq!(with(format!("{lines}x1\nx2\n")).unwrap().vocabulary.len(), 98);
    assert_refused(
        with(format!("{lines}x1\nx2\nx3\n")),
        &["vocabulary", "found 99 tokens", "at most the 98"],
    );
    assert_refused(
        with(lines.replace("[MASK]\n", "")),
        &["vocab.txt", "no [MASK] among 95", "expected all of"],
    );
    // The published Chinese vocabularies contain blank tokens.
    for blank in ["\u{2028}", "\u{3000}", "\u{a0}", ""] {
        let with_blank = with(lines.replace("film\n", &format!("{blank}\n"))).unwrap().vocabulary;
        assert_eq!((with_blank.len(), with_blank[36].as_str()), (96, blank));
    }
    let twice = with(lines.replace("film\n", "the\n")).unwrap().vocabulary;
    assert_eq!((twice.len(), twice[36].as_str()), (96, "the"));
    assert_eq!(with(lines.replace('\n', "\r\n")).unwrap().vocabulary, lines.lines().collect::<Vec<_>>());
    let many: String = (0..65_531).map(|id| format!("w{id}\n")).collect();
    assert_refused(
        with(format!("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n{many}")),
        &["vocab.txt", "65536 tokens", "65535"],
    );
    folder.write("vocab.txt", b"[PAD]\n\xff\xfe\n");
    assert_refused(read(folder.path()), &["vocab.txt", "byte 6", "UTF-8"]);

    let both = detector();
    both.write("vocab.txt", lines.replace("film\n", "movies\n"));
    assert_refused(
        read(both.path()),
        &["vocab.txt", "line 37", "found \"movies\"", "\"film\" as in tokenizer.json"],
    );
    both.write("vocab.txt", &lines);
    assert_eq!(read(both.path()).unwrap().vocabulary.len(), 96);
    both.write("added_tokens.json", r#"{"[NEW]": 96}"#);
    assert_refused(read(both.path()), &["added_tokens.json", "[NEW]", "no added tokens"]);
}

#[test]
fn missing_and_misplaced_files_are_refused() {
    for (file, message) in [
        ("config.json", "config.json: cannot be read"),
        ("model.safetensors", "found no weights, expected model.safetensors"),
        ("vocab.txt", "found neither vocab.txt nor tokenizer.json"),
    ] {
        let folder = classifier();
        fs::remove_file(folder.file(file)).unwrap();
        assert_refused(read(folder.path()), &[message]);
        if file != "config.json" {
            continue;
        }
        fs::create_dir(folder.file(file)).unwrap();
        assert_refused(read(folder.path()), &[file, "found a folder", "expected a file"]);
    }
    for file in TEXT {
        let folder = classifier();
        folder.write(file, "");
        assert_refused(read(folder.path()), &[file, "found 0 bytes", "expected 1 to"]);
        folder.write(file, "{\"model_type\": \"elec");
        assert_refused(read(folder.path()), &[file, "found no"]);
    }
    let folder = classifier();
    folder.write("config.json", "[1, 2]");
    assert_refused(read(folder.path()), &["config.json", "top level", "found [1,2]", "a JSON object"]);
    assert_refused(read(&folder.file("vocab.txt")), &["vocab.txt", "found a file", "expected a folder"]);
    assert!(matches!(read(&folder.file("nothing")), Err(Error::File(electra_formats::Error::Read { .. }))));

    let folder = classifier();
    fs::rename(folder.file("model.safetensors"), folder.file("pytorch_model.bin")).unwrap();
    assert_refused(read(folder.path()), &["found only pytorch_model.bin", "save_pretrained"]);
}

#[test]
fn reference_checkpoints_are_read() {
    let Some(shared) = std::env::var_os("ELECTRA_SHARED") else {
        println!("left out: ELECTRA_SHARED does not name a folder with reference/");
        return;
    };
    for (name, layers, hidden) in
        [("electra-small-sst2-v0", 12, 256), ("tiny-classifier", 3, 64), ("tiny-rtd", 3, 64)]
    {
        let checkpoint = read(&std::path::Path::new(&shared).join("reference").join(name)).unwrap();
        assert_eq!(checkpoint.config.num_hidden_layers, layers, "{name}");
        assert_eq!(checkpoint.config.hidden_size, hidden, "{name}");
        assert_eq!(checkpoint.vocabulary.len(), 30_522, "{name}");
        assert_eq!(checkpoint.tensors.len(), 5 + 2 + 16 * layers + 4, "{name}");
    }
}
