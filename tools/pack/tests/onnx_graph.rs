//! Tests that graphs with ELECTRA's weights that compute something else are refused with the name
//! of a node.

mod common;

use std::fs;

use common::{Broken, assert_refused, fixture};
use electra_pack::checkpoint::Checkpoint;
use electra_pack::error::Error;
use electra_pack::onnx::{Options, read};
use prost::Message;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, TensorProto, tensor_shape_proto, type_proto};

/// Applies `change` to the model of a fixture and reads the result.
fn changed(folder: &str, model: &str, change: impl FnOnce(&mut GraphProto)) -> Result<Checkpoint, Error> {
    let bytes = fs::read(fixture(folder).join(model)).unwrap();
    let mut proto = ModelProto::decode(bytes.as_slice()).unwrap();
    change(proto.graph.as_mut().unwrap());
    let copy = Broken::copy("classifier", &["vocab.txt"]);
    copy.write("changed.onnx", proto.encode_to_vec());
    read(&copy.file("changed.onnx"), &Options::default())
}

fn node(operator: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        name: format!("inserted/{operator}"),
        op_type: operator.to_owned(),
        input: inputs.iter().map(|&name| name.to_owned()).collect(),
        output: vec![output.to_owned()],
        ..NodeProto::default()
    }
}

/// Inserts `operator` after the node that computes `name`. Its second input is a constant of this
/// value, if there is one.
fn insert(graph: &mut GraphProto, name: &str, operator: &str, constant: Option<f32>) {
    let at = graph.node.iter().position(|node| node.output.iter().any(|it| it == name)).expect("a node");
    let before = format!("{name}/before");
    graph.node[at].output.iter_mut().filter(|it| *it == name).for_each(|it| it.clone_from(&before));
    let mut inputs = vec![before.as_str()];
    if let Some(value) = constant {
        let tensor = TensorProto { name: "inserted".to_owned(), ..tensor(value) };
        graph.initializer.push(tensor);
        inputs.push("inserted");
    }
    graph.node.insert(at + 1, node(operator, &inputs, name));
}

fn tensor(value: f32) -> TensorProto {
    TensorProto { data_type: DataType::Float as i32, float_data: vec![value], ..TensorProto::default() }
}

/// The same model from each exporter, with the name of the hidden states after its first layer.
const CLASSIFIERS: [(&str, &str); 4] = [
    ("dynamo.onnx", "layer_norm_2"),
    ("dynamo-uint8.onnx", "layer_norm_2"),
    ("torchscript.onnx", "/electra/encoder/layer.0/output/LayerNorm/Add_1_output_0"),
    ("torchscript-int8.onnx", "/electra/encoder/layer.0/output/LayerNorm/Add_1_output_0"),
];

#[test]
fn operators_after_the_head_are_refused_by_name() {
    for (model, _) in CLASSIFIERS {
        for (operator, constant) in
            [("Sigmoid", None), ("Div", Some(1.5)), ("Mul", Some(2.0)), ("Tanh", None), ("LogSoftmax", None)]
        {
            let refused = changed("classifier", model, |graph| insert(graph, "logits", operator, constant));
            let node = format!("node inserted/{operator}: found {operator} after the head");
            assert_refused(refused, &[&node, "the output of classifier.out_proj as an output"]);
        }
    }
}

/// The runtime applies the same function to the logits, so nothing is lost.
#[test]
fn probabilities_of_the_runtimes_kind_are_packed_as_logits() {
    let plain = |folder, model| changed(folder, model, |_| ()).unwrap();
    let with =
        |folder, model, operator| changed(folder, model, |graph| insert(graph, "logits", operator, None));
    for (model, _) in CLASSIFIERS {
        assert_eq!(with("classifier", model, "Softmax").unwrap(), plain("classifier", model), "{model}");
    }
    let detector = plain("detector", "dynamo.onnx");
    assert_eq!(with("detector", "dynamo.onnx", "Sigmoid").unwrap(), detector);
    assert_refused(with("detector", "dynamo.onnx", "Softmax"), &["inserted/Softmax", "after the head"]);
}

#[test]
fn changes_inside_are_refused_by_layer() {
    for (model, hidden) in CLASSIFIERS {
        let refused = |operator: &str, constant| {
            changed("classifier", model, |graph| insert(graph, hidden, operator, constant))
        };
        for (operator, constant) in [("Mul", 1.01), ("Add", 0.05), ("Max", 0.0)] {
            assert_refused(
                refused(operator, Some(constant)),
                &["changed.onnx: node ", "found values after this node that differ from layer 1"],
            );
        }
        // A factor of one changes nothing.
        refused("Mul", Some(1.0)).unwrap();
        let unknown = refused("Tanh", None);
        assert_refused(unknown, &["node inserted/Tanh: found Tanh: an operator that ELECTRA does not have"]);
    }
    // The head reads the second token.
    let refused = changed("classifier", "dynamo.onnx", |graph| {
        let select = graph.node.iter_mut().find(|node| node.name == "node_select").unwrap();
        select.input[1] = "one".to_owned();
        graph.initializer.push(TensorProto {
            name: "one".to_owned(),
            data_type: DataType::Int64 as i32,
            int64_data: vec![1],
            ..TensorProto::default()
        });
    });
    assert_refused(refused, &["node node_layer_norm_4", "differ from the head of ELECTRA"]);
}

/// By default, exporters fix the sizes of inputs.
#[test]
fn graphs_of_one_size_are_checked_at_that_size() {
    let of_length = |length: i64, factor: Option<f32>| {
        changed("classifier", "dynamo.onnx", |graph| {
            if let Some(factor) = factor {
                insert(graph, "layer_norm_2", "Mul", Some(factor));
            }
            for input in &mut graph.input {
                let Some(type_proto::Value::TensorType(tensor)) =
                    input.r#type.as_mut().unwrap().value.as_mut()
                else {
                    panic!("a tensor")
                };
                let size = Some(tensor_shape_proto::dimension::Value::DimValue(length));
                tensor.shape.as_mut().unwrap().dim[1].value = size;
            }
        })
    };
    of_length(32, None).unwrap();
    assert_refused(of_length(32, Some(1.5)), &["differ from layer 1 of ELECTRA"]);
    assert_refused(of_length(33, None), &["found a length of 33", "at most the 32 of max_position"]);
}

#[test]
fn graphs_that_cannot_be_run_are_refused() {
    let dynamo = |change: fn(&mut GraphProto)| changed("classifier", "dynamo.onnx", change);
    let missing = dynamo(|graph| graph.node.retain(|node| node.name != "node_layer_norm_2"));
    assert_refused(missing, &["found no value layer_norm_2"]);
    let headless = dynamo(|graph| graph.output[0].name = "layer_norm_2".to_owned());
    assert_refused(headless, &["node node_layer_norm_2: found LayerNormalization after the head"]);
    let huge = dynamo(|graph| {
        insert(graph, "layer_norm_2", "Expand", None);
        let at = graph.node.iter().position(|node| node.op_type == "Expand" && node.name.starts_with("ins"));
        graph.node[at.unwrap()].input.push("sizes".to_owned());
        graph.initializer.push(TensorProto {
            name: "sizes".to_owned(),
            data_type: DataType::Int64 as i32,
            dims: vec![3],
            int64_data: vec![i64::MAX, 1, 1],
            ..TensorProto::default()
        });
    });
    assert_refused(huge, &["node inserted/Expand: found Expand: a value of shape"]);
}
