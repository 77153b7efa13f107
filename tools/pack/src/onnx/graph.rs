//! Indexes an ONNX graph by the names of its values and reads its constants.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto, TensorProto};

use super::tensor::{Constant, Values, decode};
use crate::checkpoint::Tensor;
use crate::error::Error;

/// Largest number of consecutive nodes that only convert a value and are skipped. Exporters write
/// fewer. The limit also ends the search in graphs with cycles.
const MAX_CHAIN: usize = 8;

pub(super) struct Graph<'m> {
    pub(super) file: &'m Path,
    pub(super) nodes: &'m [NodeProto],
    constants: BTreeMap<&'m str, &'m TensorProto>,
    producers: BTreeMap<&'m str, &'m NodeProto>,
    consumers: BTreeMap<&'m str, Vec<&'m NodeProto>>,
}

impl<'m> Graph<'m> {
    /// Indexes `graph` and refuses operators outside the ONNX standard. Optimizers use these
    /// operators for fused nodes, which do not have the original weights of the model.
    pub(super) fn new(file: &'m Path, graph: &'m GraphProto) -> Result<Self, Error> {
        if let Some(node) = graph.node.iter().find(|node| !matches!(node.domain.as_str(), "" | "ai.onnx")) {
            let found = format!("operator {}.{}", node.domain, node.op_type);
            let expected =
                "standard ONNX operators only; export the model without optimizers, which fuse nodes";
            return Err(Error::field(file, label(node), found, expected));
        }
        let mut constants: BTreeMap<_, _> =
            graph.initializer.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect();
        let mut producers = BTreeMap::new();
        let mut consumers: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for node in &graph.node {
            let value = attribute(node, "value").and_then(|attribute| attribute.t.as_ref());
            for output in node.output.iter().filter(|name| !name.is_empty()) {
                producers.insert(output.as_str(), node);
                if let (Some(value), "Constant") = (value, node.op_type.as_str()) {
                    constants.insert(output.as_str(), value);
                }
            }
            for input in node.input.iter().filter(|name| !name.is_empty()) {
                consumers.entry(input.as_str()).or_default().push(node);
            }
        }
        Ok(Self { file, nodes: &graph.node, constants, producers, consumers })
    }

    /// Returns the initializers and constant nodes with their names, in alphabetical order.
    pub(super) fn constants(&self) -> impl Iterator<Item = (&'m str, &'m TensorProto)> + '_ {
        self.constants.iter().map(|(name, tensor)| (*name, *tensor))
    }

    pub(super) fn has_constant(&self, name: &str) -> bool {
        self.constants.contains_key(name)
    }

    /// Returns the node that computes value `name`.
    pub(super) fn producer(&self, name: &str) -> Option<&'m NodeProto> {
        self.producers.get(name).copied()
    }

    /// Returns whether the graph has constants in f16 or bf16.
    pub(super) fn has_half_precision(&self) -> bool {
        let half = [DataType::Float16 as i32, DataType::Bfloat16 as i32];
        self.constants.values().any(|tensor| half.contains(&tensor.data_type))
    }

    /// Returns the nodes that read value `name`.
    pub(super) fn consumers(&self, name: &str) -> &[&'m NodeProto] {
        self.consumers.get(name).map_or(&[], Vec::as_slice)
    }

    /// Returns the nodes that read value `name` directly or through conversions.
    pub(super) fn effective_consumers(&self, name: &str) -> Vec<&'m NodeProto> {
        let mut names = BTreeSet::from([name]);
        let mut found = Vec::new();
        for _ in 0..MAX_CHAIN {
            let mut next = BTreeSet::new();
            for node in names.iter().flat_map(|name| self.consumers(name)) {
                match node.output.first() {
                    Some(output) if is_conversion(node) => {
                        next.insert(output.as_str());
                    }
                    _ => found.push(*node),
                }
            }
            if next.is_empty() {
                break;
            }
            names = next;
        }
        found
    }

    /// Returns the node that computes value `name`. Conversions between that node and the value are
    /// skipped.
    pub(super) fn effective_producer(&self, name: &str) -> Option<&'m NodeProto> {
        let mut node = *self.producers.get(name)?;
        for _ in 0..MAX_CHAIN {
            if !is_conversion(node) {
                return Some(node);
            }
            node = self.producers.get(node.input.first()?.as_str())?;
        }
        None
    }

    /// Returns the floating-point constant `name`. It may be the result of casts, transpositions or
    /// a dequantization of a constant. Returns `None` if the value depends on the input, does not
    /// exist or is not a weight.
    pub(super) fn floats(&self, name: &str) -> Result<Option<Tensor>, Error> {
        self.floats_within(name, MAX_CHAIN)
    }

    fn floats_within(&self, name: &str, chain: usize) -> Result<Option<Tensor>, Error> {
        if let Some(proto) = self.constants.get(name) {
            return Ok(match decode(self.file, proto)? {
                Constant { shape, values: Values::Float(data), .. } => Some(Tensor { shape, data }),
                _ => None,
            });
        }
        let Some((node, chain)) = self.producers.get(name).copied().zip(chain.checked_sub(1)) else {
            return Ok(None);
        };
        match (node.op_type.as_str(), node.input.first()) {
            (_, Some(input)) if is_conversion(node) => self.floats_within(input, chain),
            ("Transpose", Some(input)) => {
                let Some(tensor) = self.floats_within(input, chain)? else {
                    return Ok(None);
                };
                let permutation = attribute(node, "perm").map_or(&[][..], |attribute| &attribute.ints);
                Ok(match permutation {
                    [] | [1, 0] => transposed(&tensor),
                    _ => None,
                })
            }
            ("DequantizeLinear", Some(input)) => {
                let Some(constant) = self.decoded(input)? else {
                    return Ok(None);
                };
                self.dequantized(node, &constant)
            }
            _ => Ok(None),
        }
    }

    /// Dequantizes `quantized` with the scale and zero point of `node`, a `DequantizeLinear` node.
    pub(super) fn dequantized(
        &self,
        node: &NodeProto,
        quantized: &Constant,
    ) -> Result<Option<Tensor>, Error> {
        let axis = attribute(node, "axis").map_or(1, |attribute| attribute.i);
        let [_, scale, zero_point @ ..] = node.input.as_slice() else {
            return Ok(None);
        };
        self.scaled(node, quantized, scale, zero_point.first().map(String::as_str), axis)
    }

    /// Computes `(quantized - zero_point) * scale` (ONNX operators `DequantizeLinear` and
    /// `MatMulInteger`). Scale and zero point must be constants with a single value or one value
    /// per index along `axis`. Returns `None` if they are not constants.
    pub(super) fn scaled(
        &self,
        node: &NodeProto,
        quantized: &Constant,
        scale: &str,
        zero_point: Option<&str>,
        axis: i64,
    ) -> Result<Option<Tensor>, Error> {
        let Values::Byte(bytes) = &quantized.values else {
            return Ok(None);
        };
        let Some(Tensor { data: scales, .. }) = self.floats(scale)? else {
            return Ok(None);
        };
        let zero_points = match zero_point.filter(|name| !name.is_empty()) {
            None => vec![0],
            Some(name) => match self.decoded(name)? {
                Some(Constant { values: Values::Byte(zero_points), .. }) => zero_points,
                _ => return Ok(None),
            },
        };
        let rank = quantized.shape.len();
        let axis =
            if axis < 0 { rank.checked_sub(axis.unsigned_abs() as usize) } else { Some(axis as usize) };
        let along =
            axis.and_then(|axis| Some((*quantized.shape.get(axis)?, quantized.shape.get(axis + 1..)?)));
        // If scale and zero point are single values, `axis` may exceed the rank of the array.
        let (channels, inner) = along.unwrap_or((1, &[]));
        for (what, count) in [("scale", scales.len()), ("zero point", zero_points.len())] {
            if count != 1 && count != channels {
                let expected = format!("1 or {channels}");
                return Err(Error::field(
                    self.file,
                    label(node),
                    format!("{count} values of {what}"),
                    expected,
                ));
            }
        }
        // If a dimension is 0, the number of bytes does not bound the other sizes. The minimum of 1
        // prevents a division by zero.
        let inner = inner.iter().fold(1usize, |inner, &size| inner.saturating_mul(size)).max(1);
        let at = |index: usize| index / inner % channels.max(1);
        let data = bytes.iter().enumerate().map(|(index, &byte)| {
            let scale = scales.get(at(index)).or(scales.first());
            let zero_point = zero_points.get(at(index)).or(zero_points.first());
            // Both have one value or one per channel, as checked above.
            f32::from(byte - zero_point.copied().unwrap_or(0)) * scale.copied().unwrap_or(f32::NAN)
        });
        Ok(Some(Tensor { shape: quantized.shape.clone(), data: data.collect() }))
    }

    /// Returns the constant `name` if the graph stores it directly.
    pub(super) fn decoded(&self, name: &str) -> Result<Option<Constant>, Error> {
        self.constants.get(name).map(|proto| decode(self.file, proto)).transpose()
    }

    /// Returns the elements of the one-dimensional integer value `name`. Elements that depend on
    /// the input are `None`.
    pub(super) fn integers(&self, name: &str) -> Result<Vec<Option<i64>>, Error> {
        if let Some(Constant { values: Values::Integer(values), .. }) = self.decoded(name)? {
            return Ok(values.into_iter().map(Some).collect());
        }
        let Some(node) = self.effective_producer(name) else {
            return Ok(vec![None]);
        };
        if node.op_type != "Concat" {
            return Ok(vec![None]);
        }
        let mut elements = Vec::new();
        for input in &node.input {
            match self.decoded(input)? {
                Some(Constant { values: Values::Integer(values), .. }) => {
                    elements.extend(values.into_iter().map(Some))
                }
                _ => elements.push(None),
            }
        }
        Ok(elements)
    }
}

/// Returns the name of a node in messages.
pub(super) fn label(node: &NodeProto) -> String {
    let name = [Some(&node.name), node.output.first()].into_iter().flatten().find(|name| !name.is_empty());
    format!("node {}", name.map_or("without a name", String::as_str))
}

pub(super) fn attribute<'n>(node: &'n NodeProto, name: &str) -> Option<&'n AttributeProto> {
    node.attribute.iter().find(|attribute| attribute.name == name)
}

/// Returns whether the node passes its first input on unchanged or with another type.
fn is_conversion(node: &NodeProto) -> bool {
    matches!(node.op_type.as_str(), "Cast" | "Identity")
}

/// Returns the transposed matrix, or `None` for tensors of another rank.
pub(super) fn transposed(tensor: &Tensor) -> Option<Tensor> {
    let &[rows, columns] = tensor.shape.as_slice() else {
        return None;
    };
    let mut data = Vec::with_capacity(tensor.data.len());
    // If the matrix has no rows, the number of values does not bound the number of columns.
    for column in 0..columns.min(tensor.data.len()) {
        data.extend(tensor.data.iter().skip(column).step_by(columns));
    }
    Some(Tensor { shape: vec![columns, rows], data })
}
