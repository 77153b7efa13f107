//! Checks that a graph computes ELECTRA with the weights that were recovered from it.
//!
//! The readers find weights at known places of a graph and ignore the other nodes. A sigmoid after
//! the head, or a factor inside a layer, would be lost. The graph is therefore run on a few tokens,
//! and its hidden states and logits are compared with those of the checkpoint.

use std::collections::BTreeMap;

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, NodeProto, TypeProto, ValueInfoProto, tensor_shape_proto, type_proto};

use super::graph::label;
use super::interpret::{self, Data, Value};
use super::weights::Weights;
use crate::checkpoint::{Checkpoint, Head};
use crate::error::Error;
use crate::float::Float;

/// Lengths of the test texts in tokens, for graphs that accept any length.
const LENGTHS: [usize; 2] = [3, 11];
/// Largest allowed [`difference`]. Both sides sum in f32, but in different orders.
const TOLERANCE: f32 = 1e-4;
/// Largest allowed [`difference`] for graphs with constants in f16 or bf16, which have rounded
/// factors and a rounded epsilon.
const TOLERANCE_F16: f32 = 2e-2;

/// Operation after the head. The runtime applies the same operation to the logits, so nothing is
/// lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Final {
    Logits,
    /// For a classifier.
    Softmax,
    /// For a detector.
    Sigmoid,
}

/// Refuses a graph that does not compute the same as `checkpoint`, which was recovered from it.
pub(super) fn verify(
    weights: &Weights<'_>,
    proto: &GraphProto,
    checkpoint: &Checkpoint,
) -> Result<(), Error> {
    let graph = weights.graph;
    let (output, end) = output(weights, proto, &checkpoint.config.head)?;
    let inputs: Vec<Input<'_>> = proto
        .input
        .iter()
        .filter(|input| !graph.has_constant(&input.name))
        .map(|input| Input::new(weights, input))
        .collect();
    let float = Float::new(checkpoint);
    let positions = checkpoint.config.max_position_embeddings;
    let fixed = inputs.iter().find_map(|input| input.fixed_length().map(|length| (input.name, length)));
    if let Some((name, length)) = fixed.filter(|(_, length)| *length > positions) {
        let expected = format!("at most the {positions} of max_position_embeddings");
        return Err(Error::field(graph.file, name, format!("a length of {length}"), expected));
    }
    // A model has at least three positions, so at least one length is tested.
    let lengths = fixed.map_or(LENGTHS.to_vec(), |(_, length)| vec![length]);
    for length in lengths.into_iter().filter(|length| *length <= positions) {
        compare(weights, &inputs, output, end, &float, checkpoint, length)?;
    }
    Ok(())
}

/// Returns the output of the graph that contains the logits or the result of a final operation on
/// them, and that operation.
fn output<'m>(weights: &Weights<'m>, proto: &'m GraphProto, head: &Head) -> Result<(&'m str, Final), Error> {
    let graph = weights.graph;
    let module = match head {
        Head::Classification { .. } => "classifier.out_proj",
        Head::ReplacedTokenDetection => "discriminator_predictions.dense_prediction",
    };
    let last = weights.linear(module)?.map(|linear| linear.node.output.first());
    let mut after = None;
    for output in &proto.output {
        let (mut name, mut end) = (output.name.as_str(), Final::Logits);
        while let Some(node) = graph.producer(name) {
            if last.flatten().is_some_and(|last| last == name) {
                return Ok((&output.name, end));
            }
            end = match (node.op_type.as_str(), head, end) {
                ("Cast" | "Identity" | "Squeeze" | "Reshape" | "Flatten", _, end) => end,
                ("Softmax", Head::Classification { .. }, Final::Logits) => Final::Softmax,
                ("Sigmoid", Head::ReplacedTokenDetection, Final::Logits) => Final::Sigmoid,
                _ => {
                    after = after.or(Some(node));
                    break;
                }
            };
            match node.input.first() {
                Some(input) => name = input,
                None => break,
            }
        }
    }
    let expected = format!("the output of {module} as an output of the graph; export the model alone");
    Err(match after {
        Some(node) => {
            Error::field(graph.file, label(node), format!("{} after the head", node.op_type), expected)
        }
        None => Error::field(graph.file, "outputs", "none that the head computes", expected),
    })
}

/// An input of the graph.
struct Input<'m> {
    name: &'m str,
    role: Role,
    floats: bool,
    /// Sizes of the dimensions; `None` for sizes that the graph does not fix.
    sizes: Vec<Option<usize>>,
}

#[derive(Clone, Copy)]
enum Role {
    Ids,
    Positions,
    Types,
    Mask,
}

impl<'m> Input<'m> {
    fn new(weights: &Weights<'m>, input: &'m ValueInfoProto) -> Self {
        let role = match weights.embedding_of_input(&input.name) {
            Some("word_embeddings") => Role::Ids,
            Some("position_embeddings") => Role::Positions,
            Some("token_type_embeddings") => Role::Types,
            _ => Role::Mask,
        };
        let (mut floats, mut sizes) = (false, Vec::new());
        if let Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)), .. }) = &input.r#type {
            floats =
                tensor.elem_type == DataType::Float as i32 || tensor.elem_type == DataType::Float16 as i32;
            let dimensions = tensor.shape.iter().flat_map(|shape| &shape.dim);
            sizes = dimensions
                .map(|dimension| match dimension.value {
                    Some(tensor_shape_proto::dimension::Value::DimValue(size)) => usize::try_from(size).ok(),
                    _ => None,
                })
                .collect();
        }
        Self { name: &input.name, role, floats, sizes }
    }

    fn fixed_length(&self) -> Option<usize> {
        self.sizes.get(1).copied().flatten().filter(|&length| length > 0)
    }

    /// Returns the value of the input for a text of `ids`. All texts of the batch are equal.
    fn value(&self, ids: &[u16]) -> Value {
        // Exports with a fixed batch size usually have one text; some have a few.
        const MOST_TEXTS: usize = 64;
        let texts = self.sizes.first().copied().flatten().unwrap_or(1).clamp(1, MOST_TEXTS);
        let one = (0..ids.len()).map(|at| match self.role {
            Role::Ids => i64::from(ids[at]),
            Role::Positions => at as i64,
            Role::Types => 0,
            Role::Mask => 1,
        });
        let all = std::iter::repeat_n(one, texts).flatten();
        let data = if self.floats {
            Data::Float(all.map(|value| value as f32).collect())
        } else {
            Data::Integer(all.collect())
        };
        Value { shape: vec![texts, ids.len()], data }
    }
}

fn compare(
    weights: &Weights<'_>,
    inputs: &[Input<'_>],
    output: &str,
    end: Final,
    float: &Float<'_>,
    checkpoint: &Checkpoint,
    length: usize,
) -> Result<(), Error> {
    let graph = weights.graph;
    // Arbitrary ids from a linear congruence. They are all different.
    let vocabulary = checkpoint.config.vocab_size;
    let ids: Vec<u16> = (0..length).map(|at| ((at * 7919 + 5) % vocabulary) as u16).collect();
    let mut stages = Vec::new();
    let mut expected = float.trace(&ids, |hidden| stages.push(hidden.to_vec()));
    match end {
        Final::Logits => {}
        Final::Softmax => {
            let total: f32 = expected.iter().map(|logit| logit.exp()).sum();
            expected.iter_mut().for_each(|logit| *logit = logit.exp() / total);
        }
        Final::Sigmoid => expected.iter_mut().for_each(|logit| *logit = 1.0 / (1.0 + (-*logit).exp())),
    }
    let tolerance = if graph.has_half_precision() { TOLERANCE_F16 } else { TOLERANCE };
    // Number of hidden states that were found, and the node that computed the last of them.
    let (mut seen, mut last): (usize, Option<&NodeProto>) = (0, None);
    let values = inputs.iter().map(|input| (input.name, input.value(&ids))).collect::<BTreeMap<_, _>>();
    let found = interpret::run(graph, values, output, |node, value| {
        if let Some(stage) = stages.get(seen)
            && value.floats().is_some_and(|found| difference(found, stage) <= tolerance)
        {
            seen += 1;
            last = graph.nodes.iter().find(|it| std::ptr::eq(*it, node));
        }
    })?;
    let difference = found.floats().map_or(f32::INFINITY, |found| difference(found, &expected));
    if difference <= tolerance && seen == stages.len() {
        return Ok(());
    }
    let part = match seen {
        0 => "the embeddings".to_owned(),
        seen if seen <= checkpoint.config.num_hidden_layers => format!("layer {}", seen - 1),
        _ => "the head".to_owned(),
    };
    let field = last.map_or_else(|| "graph".to_owned(), label);
    let after = if last.is_some() { " after this node" } else { "" };
    let found = format!("values{after} that differ from {part} of ELECTRA with these weights");
    Err(Error::field(graph.file, field, found, "an unmodified ELECTRA; export the model alone"))
}

/// Returns the largest absolute difference divided by one plus the largest absolute value in
/// `expected`. The result is infinite if `found` has fewer numbers or a number is NaN. Numbers
/// after those of `expected` are ignored: they belong to the other, equal texts of a batch.
fn difference(found: &[f32], expected: &[f32]) -> f32 {
    if found.len() < expected.len() {
        return f32::INFINITY;
    }
    let greatest = expected.iter().fold(0f32, |greatest, x| greatest.max(x.abs()));
    let mut difference = 0f32;
    for (found, expected) in found.iter().zip(expected) {
        match (found - expected).abs() {
            one if one.is_nan() => return f32::INFINITY,
            one => difference = difference.max(one),
        }
    }
    difference / (1.0 + greatest)
}
