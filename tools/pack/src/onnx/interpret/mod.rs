//! Runs an ONNX graph on one short input in f32, so that its results can be compared with those of
//! ELECTRA.
//!
//! Only the operators that exporters of ELECTRA write are implemented. Any other operator is an
//! error that names its node. `DynamicQuantizeLinear` returns its input without rounding, so a
//! quantized graph has the result of its weights without the error of quantized activations. Sizes
//! are bounded, so a hostile graph causes an error.
//!
//! The operators are defined at <https://onnx.ai/onnx/operators/>.

mod elementwise;
mod products;
mod shapes;
mod value;

use std::collections::{BTreeMap, BTreeSet};

use tract_onnx::pb::NodeProto;
use tract_onnx::pb::tensor_proto::DataType;

pub(super) use value::{Data, Value};

use super::graph::{Graph, attribute, label};
use super::tensor::{Constant, Values};
use crate::error::Error;

/// Largest number of elements that all nodes together may create, including reordered weights. It
/// is three times the number of parameters of ELECTRA-Large.
const MAX_ELEMENTS: usize = 1 << 30;
/// Largest number of elements of one value. It exceeds the word embeddings of ELECTRA-Large.
const MAX_VALUE_ELEMENTS: usize = 1 << 26;

/// Reason why a node cannot be run.
type Problem = String;

/// Runs the nodes on which `output` depends and returns the value of `output`. `seen` receives each
/// node and its first output.
pub(super) fn run(
    graph: &Graph<'_>,
    inputs: BTreeMap<&str, Value>,
    output: &str,
    mut seen: impl FnMut(&NodeProto, &Value),
) -> Result<Value, Error> {
    let needed = needed(graph, output);
    let mut uses: BTreeMap<&str, usize> = BTreeMap::new();
    for node in &needed {
        for name in &node.input {
            *uses.entry(name).or_default() += 1;
        }
    }
    let mut values: BTreeMap<String, Value> =
        inputs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let mut budget = MAX_ELEMENTS;
    for node in needed {
        let refuse = |found: String| {
            let expected = "a node of an ELECTRA graph; export the model alone, without further steps";
            Error::field(graph.file, label(node), found, expected)
        };
        let mut inputs = Vec::new();
        for name in &node.input {
            inputs.push(match values.get(name) {
                _ if name.is_empty() => None,
                Some(value) => Some(value.clone()),
                None => Some(constant(graph, name)?.ok_or_else(|| refuse(format!("no value {name}")))?),
            });
        }
        let call = Call { node, inputs: &inputs, budget };
        let outputs =
            call.outputs(graph).map_err(|problem| refuse(format!("{}: {problem}", node.op_type)))?;
        let made: usize = outputs.iter().map(Value::len).sum();
        budget = budget.checked_sub(made).ok_or_else(|| refuse("values too large to be run".to_owned()))?;
        if let Some(first) = outputs.first() {
            seen(node, first);
        }
        for name in &node.input {
            if let Some(left) = uses.get_mut(name.as_str()) {
                *left -= 1;
                if *left == 0 {
                    values.remove(name);
                }
            }
        }
        values.extend(node.output.iter().cloned().zip(outputs));
    }
    values.remove(output).ok_or_else(|| {
        Error::field(graph.file, "output", format!("no value {output}"), "a node that computes it")
    })
}

/// Returns the nodes on which `output` depends, in the order of the file, which is a valid order of
/// evaluation.
fn needed<'m>(graph: &Graph<'m>, output: &str) -> Vec<&'m NodeProto> {
    let mut wanted = BTreeSet::from([output]);
    let mut needed = Vec::new();
    for node in graph.nodes.iter().rev() {
        if node.output.iter().any(|name| wanted.contains(name.as_str())) && node.op_type != "Constant" {
            wanted.extend(node.input.iter().map(String::as_str));
            needed.push(node);
        }
    }
    needed.reverse();
    needed
}

fn constant(graph: &Graph<'_>, name: &str) -> Result<Option<Value>, Error> {
    let Some(Constant { shape, values, .. }) = graph.decoded(name)? else {
        return Ok(None);
    };
    let data = match values {
        Values::Float(values) => Data::Float(values),
        Values::Byte(values) => Data::Integer(values.into_iter().map(i64::from).collect()),
        Values::Integer(values) => Data::Integer(values),
    };
    Ok(Some(Value { shape, data }))
}

/// A node and the values of its inputs.
struct Call<'c> {
    node: &'c NodeProto,
    inputs: &'c [Option<Value>],
    /// Number of elements that may still be created.
    budget: usize,
}

impl Call<'_> {
    fn outputs(&self, graph: &Graph<'_>) -> Result<Vec<Value>, Problem> {
        if self.node.op_type == "DynamicQuantizeLinear" {
            let one = |data| Value { shape: Vec::new(), data };
            let (scale, zero) = (one(Data::Float(vec![1.0])), one(Data::Integer(vec![0])));
            return Ok(vec![self.input(0)?.clone(), scale, zero]);
        }
        self.output(graph).map(|output| vec![output])
    }

    fn output(&self, graph: &Graph<'_>) -> Result<Value, Problem> {
        match self.node.op_type.as_str() {
            "Identity" | "Dropout" => Ok(self.input(0)?.clone()),
            "Cast" => self.cast(),
            "Add" | "Sub" | "Mul" | "Div" | "Pow" | "Max" | "Min" | "Equal" | "Greater"
            | "GreaterOrEqual" | "Less" | "LessOrEqual" | "And" | "Or" | "Where" => self.broadcast(),
            "Sqrt" | "Erf" | "Gelu" | "Sigmoid" | "Not" | "IsNaN" => self.unary(),
            "Softmax" => self.softmax(),
            "ReduceMean" => self.reduce_mean(),
            "LayerNormalization" => self.layer_normalization(),
            "MatMul" | "MatMulInteger" => self.product(),
            "Gemm" => self.gemm(),
            "DequantizeLinear" => self.dequantize(graph),
            "Shape" => self.shape(),
            "Gather" => self.gather(),
            "GatherND" => self.gather_nd(),
            "Slice" => self.slice(),
            "Concat" => self.concat(),
            "Unsqueeze" => self.unsqueeze(),
            "Squeeze" => self.squeeze(),
            "Reshape" => self.reshape(),
            "Flatten" => self.flatten(),
            "Expand" => self.expand(),
            "Transpose" => self.transpose(),
            "Range" => self.range(),
            "ConstantOfShape" => self.constant_of_shape(graph),
            _ => Err("an operator that ELECTRA does not have".to_owned()),
        }
    }

    /// Returns input `index`. Fails if it is absent.
    fn input(&self, index: usize) -> Result<&Value, Problem> {
        self.optional(index).ok_or_else(|| format!("no input {index}"))
    }

    fn optional(&self, index: usize) -> Option<&Value> {
        self.inputs.get(index).and_then(Option::as_ref)
    }

    fn integers(&self, index: usize) -> Result<&[i64], Problem> {
        match &self.input(index)?.data {
            Data::Integer(values) => Ok(values),
            Data::Float(_) => Err(format!("numbers with fractions as input {index}")),
        }
    }

    fn floats(&self, index: usize) -> Result<&[f32], Problem> {
        match &self.input(index)?.data {
            Data::Float(values) => Ok(values),
            Data::Integer(_) => Err(format!("integers as input {index}")),
        }
    }

    /// Returns integers that older operator sets store in an attribute and newer ones in input
    /// `index`.
    fn listed(&self, name: &str, index: usize) -> Result<Option<Vec<i64>>, Problem> {
        match attribute(self.node, name) {
            Some(attribute) => Ok(Some(attribute.ints.clone())),
            None if self.optional(index).is_some() => Ok(Some(self.integers(index)?.to_vec())),
            None => Ok(None),
        }
    }

    fn number(&self, name: &str, default: i64) -> i64 {
        attribute(self.node, name).map_or(default, |attribute| attribute.i)
    }

    fn fraction(&self, name: &str, default: f32) -> f32 {
        attribute(self.node, name).map_or(default, |attribute| attribute.f)
    }

    /// Returns the index of `axis` among `rank` dimensions. A negative `axis` is counted from the
    /// end.
    fn axis(axis: i64, rank: usize) -> Result<usize, Problem> {
        let from_start = if axis < 0 { axis.checked_add(rank as i64) } else { Some(axis) };
        from_start
            .and_then(|axis| usize::try_from(axis).ok())
            .filter(|&axis| axis < rank)
            .ok_or_else(|| format!("axis {axis} of {rank} dimensions"))
    }

    /// Returns the number of elements of a value of `shape`. Fails if the value is too large.
    fn checked_len(&self, shape: &[usize]) -> Result<usize, Problem> {
        let count = shape.iter().try_fold(1usize, |count, &size| count.checked_mul(size));
        count
            .filter(|&count| count <= self.budget.min(MAX_VALUE_ELEMENTS))
            .ok_or_else(|| format!("a value of shape {shape:?}"))
    }

    fn cast(&self) -> Result<Value, Problem> {
        use DataType::{Bfloat16, Bool, Double, Float, Float16, Int8, Int16, Int32, Int64, Uint8};
        let Value { shape, data } = self.input(0)?.clone();
        let to = DataType::try_from(self.number("to", 0) as i32).unwrap_or(DataType::Undefined);
        let data = match (to, data) {
            (Float | Float16 | Bfloat16 | Double, Data::Integer(values)) => {
                Data::Float(values.into_iter().map(|value| value as f32).collect())
            }
            // All values are computed in f32, whatever type the graph rounds to.
            (Float | Float16 | Bfloat16 | Double, floats) => floats,
            (Bool, Data::Integer(values)) => {
                Data::Integer(values.into_iter().map(|value| i64::from(value != 0)).collect())
            }
            (Bool, Data::Float(values)) => {
                Data::Integer(values.into_iter().map(|value| i64::from(value != 0.0)).collect())
            }
            (Int8 | Int16 | Int32 | Int64 | Uint8, Data::Float(values)) => {
                Data::Integer(values.into_iter().map(|value| value as i64).collect())
            }
            (Int8 | Int16 | Int32 | Int64 | Uint8, integers) => integers,
            _ => return Err(format!("a conversion to {}", to.as_str_name())),
        };
        Ok(Value { shape, data })
    }
}
