//! Compares the ONNX reader with the checkpoints from which the files were exported, and tests its
//! refusals.

mod common;

use std::fs;
use std::path::PathBuf;

use common::{Broken, assert_refused, assert_tensors, classification, config, expected, fixture};
use electra_pack::checkpoint::{Checkpoint, Head, Tensor};
use electra_pack::error::Error;
use electra_pack::hugging_face;
use electra_pack::onnx::{Options, read};
use half::f16;
use serde_json::json;

fn read_beside(file: PathBuf) -> Result<Checkpoint, Error> {
    read(&file, &Options::default())
}

fn classifier(model: &str) -> Broken {
    Broken::copy("classifier", &["config.json", "vocab.txt", model])
}

#[test]
fn f32_exports_equal_what_pytorch_wrote() {
    for (folder, models) in [
        ("classifier", ["torchscript.onnx", "dynamo.onnx", "electra-train.onnx"]),
        ("detector", ["torchscript.onnx", "dynamo.onnx", "electra-train.onnx"]),
    ] {
        let original = hugging_face::read(&fixture(folder)).unwrap();
        for model in models {
            let checkpoint = read_beside(fixture(folder).join(model)).unwrap();
            assert_tensors(&checkpoint, &expected(folder));
            assert_eq!(checkpoint, original, "{folder}/{model}");
        }
    }
}

#[test]
fn f16_exports_are_the_rounded_f32_ones() {
    let original = hugging_face::read(&fixture("classifier")).unwrap();
    let checkpoint = read_beside(fixture("classifier").join("torchscript-f16.onnx")).unwrap();
    assert_eq!(checkpoint.config, original.config);
    for (name, tensor) in &original.tensors {
        let rounded: Vec<f32> = tensor.data.iter().map(|&value| f16::from_f32(value).to_f32()).collect();
        assert_eq!(checkpoint.tensors[name], Tensor { shape: tensor.shape.clone(), data: rounded }, "{name}");
    }
}

/// Returns the width of one of 254 steps over the range from minus to plus the largest absolute
/// value. No 8-bit quantization of the values is coarser.
fn step(values: &[f32]) -> f32 {
    values.iter().fold(0.0f32, |most, value| most.max(value.abs())) / 127.0
}

#[test]
fn quantized_exports_are_within_a_step_of_the_original() {
    for (folder, model, per_channel) in [
        ("classifier", "torchscript-int8.onnx", false),
        ("classifier", "torchscript-int8-per-channel.onnx", true),
        ("classifier", "dynamo-uint8.onnx", false),
        ("detector", "torchscript-uint8-per-channel.onnx", true),
        ("detector", "dynamo-int8-per-channel.onnx", true),
        ("classifier", "electra-train-int8.onnx", true),
        ("detector", "electra-train-int8.onnx", true),
    ] {
        let original = hugging_face::read(&fixture(folder)).unwrap();
        let checkpoint = read_beside(fixture(folder).join(model)).unwrap();
        assert_eq!(checkpoint.config, original.config, "{model}");
        assert_eq!(checkpoint.vocabulary, original.vocabulary, "{model}");
        assert_eq!(checkpoint.tensors.len(), original.tensors.len(), "{model}");
        let mut rounded = 0;
        for (name, tensor) in &original.tensors {
            let found = &checkpoint.tensors[name];
            assert_eq!(found.shape, tensor.shape, "{model}: {name}");
            if tensor.shape.len() == 1 {
                assert_eq!(found, tensor, "{model}: {name} is not quantized");
                continue;
            }
            let embedding = name.contains("_embeddings.weight");
            let row = if per_channel && !embedding { tensor.shape[1] } else { tensor.data.len() };
            for (channel, (found, values)) in found.data.chunks(row).zip(tensor.data.chunks(row)).enumerate()
            {
                let step = step(values);
                for (found, value) in found.iter().zip(values) {
                    let error = (found - value).abs();
                    assert!(
                        error <= step,
                        "{model}: {name}, channel {channel}: {found} for {value}, step {step}"
                    );
                    rounded += usize::from(error > 0.0);
                }
            }
        }
        assert!(rounded > 10_000, "{model}: {rounded} values were rounded, so the file is hardly quantized");
    }
}

#[test]
fn everything_but_labels_is_inferred_without_a_config() {
    let labels = ["LABEL_0", "LABEL_1", "LABEL_2"].map(str::to_owned).to_vec();
    let classification = config(Head::Classification { labels });
    let detection = config(Head::ReplacedTokenDetection);
    for (folder, model, config) in [
        ("classifier", "torchscript.onnx", &classification),
        ("classifier", "dynamo.onnx", &classification),
        ("classifier", "torchscript-int8-per-channel.onnx", &classification),
        ("classifier", "dynamo-uint8.onnx", &classification),
        ("detector", "dynamo.onnx", &detection),
        ("detector", "torchscript-uint8-per-channel.onnx", &detection),
        ("detector", "dynamo-int8-per-channel.onnx", &detection),
    ] {
        let copy = Broken::copy(folder, &[model]);
        assert_refused(read_beside(copy.file(model)), &["found neither vocab.txt nor tokenizer.json"]);
        let options = Options { vocabulary: Some(fixture("classifier").join("vocab.txt")) };
        let checkpoint = read(&copy.file(model), &options).unwrap();
        assert_eq!(&checkpoint.config, config, "{folder}/{model}");
        assert_eq!(checkpoint.vocabulary.len(), 96);
        let options = Options { vocabulary: Some(fixture("detector").join("tokenizer.json")) };
        assert_eq!(read(&copy.file(model), &options).unwrap(), checkpoint);
    }
}

#[test]
fn a_model_in_a_folder_onnx_finds_the_files_above() {
    let folder = Broken::copy("classifier", &["config.json", "vocab.txt"]);
    fs::create_dir(folder.file("onnx")).unwrap();
    fs::copy(fixture("classifier").join("dynamo.onnx"), folder.file("onnx/model.onnx")).unwrap();
    let checkpoint = read_beside(folder.file("onnx/model.onnx")).unwrap();
    assert_eq!(checkpoint.config, config(classification()));
    // Each file is searched for separately.
    fs::copy(folder.file("vocab.txt"), folder.file("onnx/vocab.txt")).unwrap();
    assert_eq!(read_beside(folder.file("onnx/model.onnx")).unwrap(), checkpoint);
    fs::remove_file(folder.file("vocab.txt")).unwrap();
    assert_eq!(read_beside(folder.file("onnx/model.onnx")).unwrap(), checkpoint);
    // Tokenizer settings are checked beside the model and beside a vocabulary from elsewhere.
    folder.write("tokenizer_config.json", r#"{"do_lower_case": false}"#);
    assert_refused(read_beside(folder.file("onnx/model.onnx")), &["tokenizer_config.json: do_lower_case"]);
    let other = Broken::copy("classifier", &["torchscript.onnx"]);
    fs::copy(folder.file("onnx/vocab.txt"), folder.file("v.txt")).unwrap();
    let options = Options { vocabulary: Some(folder.file("v.txt")) };
    let refused = read(&other.file("torchscript.onnx"), &options);
    assert_refused(refused, &["tokenizer_config.json: do_lower_case: found false", "uncased"]);
}

#[test]
fn configs_that_contradict_the_graph_are_refused() {
    for model in ["torchscript.onnx", "dynamo.onnx", "torchscript-int8.onnx"] {
        for (field, value, expected) in [
            (
                "num_attention_heads",
                json!(1),
                &["config.json", "num_attention_heads", "found 1", "expected 2"][..],
            ),
            (
                "layer_norm_eps",
                json!(1e-5),
                &["config.json", "layer_norm_eps", "found 1e-5", "expected 1e-12"],
            ),
            ("num_hidden_layers", json!(1), &[model, "activations", "found 3", "expected 2"]),
            ("num_hidden_layers", json!(3), &[model, "activations", "found 3", "expected 4"]),
            ("vocab_size", json!(99), &[model, "word_embeddings.weight", "shape [98, 16]", "shape [99, 16]"]),
            ("intermediate_size", json!(32), &[model, "layer.0.intermediate.dense", "expected shape [32"]),
            (
                "id2label",
                json!({"0": "a", "1": "b"}),
                &[model, "classifier.out_proj", "shape [3", "shape [2", "2 labels"],
            ),
            (
                "architectures",
                json!(["ElectraForPreTraining"]),
                &[model, "classifier.dense", "no such tensor"],
            ),
            ("embedding_size", json!(32), &[model, "electra.embeddings_project.bias", "no such tensor"]),
        ] {
            let folder = classifier(model);
            folder.set("config.json", &format!("/{field}"), value);
            assert_refused(read_beside(folder.file(model)), expected);
        }
    }
    // A graph in f16 has its own epsilon.
    let folder = classifier("torchscript-f16.onnx");
    folder.set("config.json", "/layer_norm_eps", json!(1e-5));
    assert_eq!(read_beside(folder.file("torchscript-f16.onnx")).unwrap().config.layer_norm_eps, 1e-5);
}

#[test]
fn shared_parameters_are_found_by_the_names_of_nodes() {
    let model = "torchscript.onnx";
    let original = hugging_face::read(&fixture("classifier")).unwrap();
    let folder = classifier(model);
    // The exporter merges equal parameters. Here layer 0 reads the biases and scales of layer 1.
    folder.substitute(
        model,
        "electra.encoder.layer.0.attention.self",
        "electra.encoder.layer.1.attention.self",
    );
    let layer_norm = ("electra.encoder.layer.0.output.LayerNorm", "electra.encoder.layer.1.output.LayerNorm");
    folder.substitute(model, layer_norm.0, layer_norm.1);
    let checkpoint = read_beside(folder.file(model)).unwrap();
    for name in
        ["query", "key", "value"].map(|name| format!("electra.encoder.layer.0.attention.self.{name}.weight"))
    {
        assert_eq!(checkpoint.tensors[&name], original.tensors[&name]);
    }
    for parameter in ["weight", "bias"] {
        let [zero, one] =
            [layer_norm.0, layer_norm.1].map(|module| &checkpoint.tensors[&format!("{module}.{parameter}")]);
        assert_eq!(zero, one);
    }

    // The dynamo exporter does not name nodes after modules, so the layer cannot be identified.
    let model = "dynamo.onnx";
    let folder = classifier(model);
    folder.substitute(
        model,
        "electra.encoder.layer.0.attention.self",
        "electra.encoder.layer.1.attention.self",
    );
    let name = "electra.encoder.layer.0.attention.self.query.weight";
    assert_refused(read_beside(folder.file(model)), &[model, name, "found nothing", "shape [32, 32]"]);
}

#[test]
fn other_graphs_are_refused() {
    let model = "torchscript.onnx";
    let folder = classifier(model);
    folder.substitute(model, "electra.embeddings.word", "xlectra.embeddings.w0rd");
    assert_refused(
        read_beside(folder.file(model)),
        &[model, "word_embeddings.weight", "none of this name", "ELECTRA"],
    );

    let folder = classifier(model);
    folder.substitute(model, "\x22\x03Erf", "\x22\x03Sin");
    assert_refused(read_beside(folder.file(model)), &[model, "activations", "found 0", "hidden_act gelu"]);

    let folder = classifier(model);
    folder.substitute(
        model,
        "electra.encoder.layer.1.output.dense.bias",
        "electra.encoder.layer.1.output.dense.b1as",
    );
    assert_refused(read_beside(folder.file(model)), &[model, "layer.1.output.dense.b1as", "no such tensor"]);

    let folder = Broken::copy("detector", &["config.json", "tokenizer.json", "torchscript.onnx"]);
    let data = "torchscript.onnx.data";
    assert_refused(read_beside(folder.file("torchscript.onnx")), &[data, "cannot be read"]);
    folder.write(data, [0; 100]);
    assert_refused(
        read_beside(folder.file("torchscript.onnx")),
        &["external_data.offset", "of the 100 bytes"],
    );
    folder.substitute("torchscript.onnx", data, "../rchscript.onnx.dat");
    assert_refused(
        read_beside(folder.file("torchscript.onnx")),
        &["external_data.location", "found ../rch", "below"],
    );
}

#[test]
fn files_that_are_no_onnx_are_refused() {
    let folder = classifier("dynamo.onnx");
    assert_refused(read_beside(folder.path().to_path_buf()), &["found a folder", "expected a file"]);
    assert_refused(read_beside(folder.file("vocab.txt")), &["vocab.txt", "found no valid ONNX file"]);
    assert!(matches!(
        read_beside(folder.file("nothing.onnx")),
        Err(Error::File(electra_formats::Error::Read { .. }))
    ));
    folder.write("empty.onnx", "");
    assert_refused(read_beside(folder.file("empty.onnx")), &["empty.onnx", "found 0 bytes"]);
    // Field 1 of ModelProto, the IR version, and nothing else.
    folder.write("bare.onnx", [0x08, 0x08]);
    assert_refused(
        read_beside(folder.file("bare.onnx")),
        &["bare.onnx", "graph", "found nothing", "ELECTRA"],
    );
}

/// Returns a length-delimited protobuf field.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    let mut length = content.len();
    while length > 127 {
        bytes.push(length as u8 | 128);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend_from_slice(content);
    bytes
}

/// Returns a model with a graph of the given fields.
fn model(fields: &[Vec<u8>]) -> Vec<u8> {
    field(7, &fields.concat())
}

fn initializer(name: &str, fields: &[Vec<u8>]) -> Vec<u8> {
    field(5, &[field(8, name.as_bytes()), fields.concat()].concat())
}

#[test]
fn fused_nodes_are_refused_by_name() {
    for operator in
        ["Attention", "EmbedLayerNormalization", "SkipLayerNormalization", "FusedMatMul", "BiasGelu"]
    {
        let folder = classifier("dynamo.onnx");
        let node =
            [field(3, b"some/node"), field(4, operator.as_bytes()), field(7, b"com.microsoft")].concat();
        folder.write("fused.onnx", model(&[field(1, &node)]));
        let found = format!("found operator com.microsoft.{operator}");
        assert_refused(
            read_beside(folder.file("fused.onnx")),
            &["fused.onnx", "node some/node", &found, "standard"],
        );
    }
}

#[test]
fn hostile_tensors_are_refused() {
    let name = "electra.embeddings.word_embeddings.weight";
    let data_type = |number: u8| vec![0x10, number];
    let dims = |bytes: &[u8]| field(1, bytes);
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    for (fields, parts) in [
        (
            vec![dims(&[[huge, huge].concat(), huge.to_vec()].concat()), data_type(1)],
            ["found dimensions [9223", "product"],
        ),
        (vec![dims(&huge), data_type(1)], ["found 0 values", "9223372036854775807"]),
        (vec![dims(&[4, 4]), data_type(8)], ["data type STRING", "FLOAT16"]),
        (vec![dims(&[4, 4]), data_type(99)], ["data type 99", "a data type of ONNX"]),
        (vec![dims(&[4, 4]), data_type(0)], ["data type UNDEFINED", "FLOAT16"]),
        (vec![dims(&[4, 4]), data_type(1), field(9, &[0; 63])], ["found 15 values", "expected 16"]),
        (vec![dims(&[4, 4]), data_type(1), field(9, &[0; 66])], ["found 16 values", "expected 16"]),
        (vec![dims(&[4]), data_type(1), field(9, &[0; 16])], ["found shape [4]", "two dimensions"]),
        (
            vec![dims(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]), data_type(1)],
            ["dimensions [-1]", "non-negative sizes"],
        ),
    ] {
        let folder = Broken::copy("classifier", &["vocab.txt"]);
        folder.write("hostile.onnx", model(&[initializer(name, &fields)]));
        assert_refused(read_beside(folder.file("hostile.onnx")), &["hostile.onnx", parts[0], parts[1]]);
    }
}

#[test]
fn empty_tensors_of_enormous_width_are_refused() {
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    let name = "electra.embeddings.word_embeddings.weight";
    let empty = |name: &str, data_type: u8| {
        let dims = [&[0][..], &huge, &huge].concat();
        initializer(name, &[field(1, &dims), vec![0x10, data_type]])
    };
    let matrix = initializer("w", &[field(1, &[&[0][..], &huge].concat()), vec![0x10, 1]]);
    let transposed = [field(1, b"w"), field(2, name.as_bytes()), field(4, b"Transpose")];
    let scale = initializer("scale", &[field(1, &[1]), vec![0x10, 1], field(9, &[0; 4])]);
    let dequantized =
        [field(1, b"q"), field(1, b"scale"), field(2, name.as_bytes()), field(4, b"DequantizeLinear")];
    let anchor = empty(&format!("{name}_quantized"), 3);
    for fields in [
        vec![empty(name, 1)],
        vec![matrix, anchor.clone(), field(1, &transposed.concat())],
        vec![empty("q", 3), scale, anchor, field(1, &dequantized.concat())],
    ] {
        let folder = Broken::copy("classifier", &["vocab.txt"]);
        folder.write("empty.onnx", model(&fields));
        let parts = &["empty.onnx", "_embeddings", "found "];
        assert_refused(read_beside(folder.file("empty.onnx")), parts);
    }
}
