//! ONNX graph under construction: its nodes in order, and the constants that they use.

use std::collections::HashMap;

use tch::{Kind, Tensor};

use super::protobuf::Message;
use crate::error::Result;

/// Version of the operators: the last one in which every reader supports LayerNorm as single
/// operators.
const OPERATORS: i64 = 14;
/// Version of the file format.
const INTERMEDIATE_REPRESENTATION: i64 = 7;

/// Element types, as `TensorProto.DataType` numbers them.
const FLOAT: i64 = 1;
const BYTE: i64 = 3;
const INTEGER: i64 = 7;

/// An attribute of a node.
#[derive(Clone, Copy, Debug)]
pub enum Attribute<'a> {
    /// One integer.
    Integer(&'a str, i64),
    /// Several integers.
    Integers(&'a str, &'a [i64]),
}

/// ONNX graph under construction. Values are referred to by their names.
#[derive(Debug)]
pub struct Graph {
    message: Message,
    int8: bool,
    nodes: usize,
    /// Names of value, scale and zero point of every quantized value, by the name of the f32 value.
    quantized: HashMap<String, [String; 3]>,
}

impl Graph {
    /// Returns an empty graph. With `int8` its constant matrices are stored as i8.
    pub fn new(int8: bool) -> Self {
        let mut message = Message::default();
        message.bytes(NAME_OF_GRAPH, "electra");
        Self { message, int8, nodes: 0, quantized: HashMap::new() }
    }

    /// Declares an input `[batch, sequence]`, i64, and returns its name.
    pub fn input(&mut self, name: &str) -> String {
        self.message.message(INPUT, &value(name, INTEGER, &["batch", "sequence"]));
        name.to_owned()
    }

    /// Ends the graph with `output`, f32, whose dimensions have the given names. Returns the bytes
    /// of the file.
    pub fn finish(mut self, output: &str, dimensions: &[&str]) -> Vec<u8> {
        self.message.message(OUTPUT, &value(output, FLOAT, dimensions));
        let mut operators = Message::default();
        operators.bytes(1, "").integer(2, OPERATORS);
        let mut model = Message::default();
        model.integer(1, INTERMEDIATE_REPRESENTATION).bytes(2, "electra-train").message(8, &operators);
        model.message(7, &self.message);
        model.into_bytes()
    }

    /// Adds a node with one output and returns its name.
    pub fn node(&mut self, operator: &str, inputs: &[&str], attributes: &[Attribute<'_>]) -> String {
        self.nodes += 1;
        let output = format!("{operator}_{}", self.nodes);
        self.named_node(operator, inputs, &[&output], attributes);
        output
    }

    /// Adds a node whose outputs have the given names.
    pub fn named_node(
        &mut self,
        operator: &str,
        inputs: &[&str],
        outputs: &[&str],
        attributes: &[Attribute<'_>],
    ) {
        let mut node = Message::default();
        for input in inputs {
            node.bytes(1, input);
        }
        for output in outputs {
            node.bytes(2, output);
        }
        node.bytes(3, format!("/{}", outputs[0])).bytes(4, operator);
        for attribute in attributes {
            node.message(5, &encoded(attribute));
        }
        self.message.message(NODE, &node);
    }

    /// Adds a constant of f32, i8 or i64, depending on `tensor`, and returns its name.
    pub fn constant(&mut self, name: &str, tensor: &Tensor) -> Result<String> {
        let (kind, size) = match tensor.kind() {
            Kind::Int8 => (BYTE, 1),
            Kind::Int64 => (INTEGER, 8),
            _ => (FLOAT, 4),
        };
        let tensor = tensor.f_contiguous()?;
        let mut data = vec![0; tensor.numel() * size];
        tensor.f_copy_data_u8(&mut data, tensor.numel())?;
        let mut message = Message::default();
        for length in tensor.size() {
            message.integer(1, length);
        }
        message.integer(2, kind).bytes(8, name).bytes(9, data);
        self.message.message(INITIALIZER, &message);
        Ok(name.to_owned())
    }

    /// Adds a single number, f32.
    pub fn number(&mut self, name: &str, number: f64) -> Result<String> {
        self.constant(name, &Tensor::from(number as f32))
    }

    /// Adds a vector of i64.
    pub fn integers(&mut self, name: &str, integers: &[i64]) -> Result<String> {
        self.constant(name, &Tensor::f_from_slice(integers)?)
    }

    /// Adds `x Wᵀ + b` for `x` `[.., inputs]` and `weight` `[outputs, inputs]`. `name` is the name
    /// of the module.
    pub fn linear(&mut self, name: &str, input: &str, weight: &Tensor, bias: &Tensor) -> Result<String> {
        let columns = weight.f_transpose(0, 1)?;
        let product = if self.int8 {
            self.quantized_product(name, input, &columns)?
        } else {
            let weight = self.constant(&format!("{name}.weight"), &columns)?;
            self.node("MatMul", &[input, &weight], &[])
        };
        let bias = self.constant(&format!("{name}.bias"), bias)?;
        Ok(self.node("Add", &[&product, &bias], &[]))
    }

    /// Adds a lookup of the rows of `table` `[rows, width]` at `indices`. In int8 the whole table
    /// has one scale.
    pub fn lookup(&mut self, name: &str, table: &Tensor, indices: &str) -> Result<String> {
        if !self.int8 {
            let table = self.constant(name, table)?;
            return Ok(self.node("Gather", &[&table, indices], &[]));
        }
        let scale = scale(&table.f_abs()?.f_max()?)?;
        let [values, scale, zero] = self.quantized_constant(name, table, &scale)?;
        let rows = self.node("Gather", &[&values, indices], &[]);
        Ok(self.node("DequantizeLinear", &[&rows, &scale, &zero], &[]))
    }

    /// Adds the product of `input`, in u8 with a scale that is computed at run time, and `weight`
    /// `[inputs, outputs]`, in i8.
    fn quantized_product(&mut self, name: &str, input: &str, weight: &Tensor) -> Result<String> {
        let [values, input_scale, zero] = self.quantize(input);
        let scale = scale(&weight.f_abs()?.f_amax([0], false)?)?;
        let [weight, weight_scale, weight_zero] =
            self.quantized_constant(&format!("{name}.weight"), weight, &scale)?;
        let sums = self.node("MatMulInteger", &[&values, &weight, &zero, &weight_zero], &[]);
        let sums = self.node("Cast", &[&sums], &[Attribute::Integer("to", FLOAT)]);
        let scale = self.node("Mul", &[&input_scale, &weight_scale], &[]);
        Ok(self.node("Mul", &[&sums, &scale], &[]))
    }

    /// Adds value, scale and zero point of a constant in i8, with the names that ONNX Runtime gives
    /// them.
    fn quantized_constant(&mut self, name: &str, tensor: &Tensor, scale: &Tensor) -> Result<[String; 3]> {
        let values = tensor.f_div(scale)?.f_round()?.f_clamp(-127.0, 127.0)?.f_to_kind(Kind::Int8)?;
        let zero = scale.f_zeros_like()?.f_to_kind(Kind::Int8)?;
        Ok([
            self.constant(&format!("{name}_quantized"), &values)?,
            self.constant(&format!("{name}_scale"), scale)?,
            self.constant(&format!("{name}_zero_point"), &zero)?,
        ])
    }

    /// Adds the quantization of `input`. An input of several matrices is quantized once.
    fn quantize(&mut self, input: &str) -> [String; 3] {
        if let Some(found) = self.quantized.get(input) {
            return found.clone();
        }
        let names = ["quantized", "scale", "zero_point"].map(|what| format!("{input}_{what}"));
        self.named_node("DynamicQuantizeLinear", &[input], &names.each_ref().map(String::as_str), &[]);
        self.quantized.insert(input.to_owned(), names.clone());
        names
    }
}

/// Fields of `GraphProto`.
const NODE: u32 = 1;
const NAME_OF_GRAPH: u32 = 2;
const INITIALIZER: u32 = 5;
const INPUT: u32 = 11;
const OUTPUT: u32 = 12;

/// Returns the scale for the largest magnitudes: values from -127 to 127, without a zero point. The
/// lower limit is for zeros, which stay zeros at any scale.
fn scale(largest: &Tensor) -> Result<Tensor> {
    Ok(largest.f_clamp_min(f64::from(f32::MIN_POSITIVE) * 127.0)?.f_div_scalar(127.0)?)
}

/// Returns a `ValueInfoProto`. A dimension is a number if its text is one, otherwise a name.
fn value(name: &str, kind: i64, dimensions: &[&str]) -> Message {
    let mut shape = Message::default();
    for dimension in dimensions {
        let mut message = Message::default();
        match dimension.parse() {
            Ok(length) => message.integer(1, length),
            Err(_) => message.bytes(2, dimension),
        };
        shape.message(1, &message);
    }
    let mut tensor = Message::default();
    tensor.integer(1, kind).message(2, &shape);
    let mut of_tensor = Message::default();
    of_tensor.message(1, &tensor);
    let mut value = Message::default();
    value.bytes(1, name).message(2, &of_tensor);
    value
}

/// Returns an `AttributeProto`.
fn encoded(attribute: &Attribute<'_>) -> Message {
    let mut message = Message::default();
    match *attribute {
        Attribute::Integer(name, integer) => {
            message.bytes(1, name).integer(3, integer).integer(20, 2);
        }
        Attribute::Integers(name, integers) => {
            message.bytes(1, name);
            for &integer in integers {
                message.integer(8, integer);
            }
            message.integer(20, 7);
        }
    }
    message
}
