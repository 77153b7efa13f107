//! Maps the nodes of a graph to tensors with Hugging Face names.
//!
//! A linear layer is a `Gemm`, or the addition of a bias to a product. The product is a `MatMul`,
//! or the form by which `quantize_dynamic` of ONNX Runtime replaces it:
//! `Mul(Cast(MatMulInteger(x, w)), Mul(scale of x, scale of w))`. The name of the bias identifies
//! the layer. If an exporter has merged equal parameters under one name, the name of the node
//! identifies the layer. The TorchScript exporter derives it from the path of the module:
//! `/electra/encoder/layer.0/output/dense/Add`.

use std::collections::{BTreeMap, BTreeSet};

use tract_onnx::pb::NodeProto;

use super::graph::{Graph, attribute, label, transposed};
use super::tensor::is_weight;
use crate::checkpoint::{Config, Tensor};
use crate::error::Error;

const ANCHOR: &str = "electra.embeddings.word_embeddings.weight";

pub(super) struct Weights<'m> {
    pub(super) graph: &'m Graph<'m>,
    /// Prefix of the Hugging Face names in this file: the path of a module that wraps the model.
    prefix: &'m str,
}

impl<'m> Weights<'m> {
    /// Finds the word embeddings. Fails if there are none, because the graph is then not an ELECTRA
    /// model.
    pub(super) fn new(graph: &'m Graph<'m>) -> Result<Self, Error> {
        let prefix = graph
            .constants()
            .find_map(|(name, _)| name.strip_suffix("_quantized").unwrap_or(name).strip_suffix(ANCHOR));
        match prefix {
            Some(prefix) => Ok(Self { graph, prefix }),
            None => {
                let names: Vec<_> = graph.constants().filter(|(_, tensor)| is_weight(tensor)).collect();
                let example = names.iter().find(|(name, _)| name.ends_with(".weight")).or(names.first());
                let found = match example {
                    Some((example, _)) => {
                        format!("{} weights, none of this name, one is {example}", names.len())
                    }
                    None => "no weights".to_owned(),
                };
                let expected = "an ELECTRA model exported with its parameter names";
                Err(Error::field(graph.file, ANCHOR, found, expected))
            }
        }
    }

    /// Returns all tensors of `config` that the graph contains, by their Hugging Face names. Shapes
    /// are not checked.
    pub(super) fn recover(&self, config: &Config) -> Result<BTreeMap<String, Tensor>, Error> {
        let mut tensors = BTreeMap::new();
        for (name, _) in config.tensor_shapes() {
            let Some((module, parameter)) = name.rsplit_once('.') else {
                continue;
            };
            let tensor = if module.ends_with("_embeddings") {
                self.embedding(&name)?
            } else if module.ends_with("LayerNorm") {
                self.layer_norm(module, parameter)?
            } else if parameter == "bias" {
                continue;
            } else {
                let Some(linear) = self.linear(module)? else {
                    continue;
                };
                tensors.insert(format!("{module}.bias"), linear.bias);
                Some(linear.weight)
            };
            if let Some(tensor) = tensor {
                tensors.insert(name, tensor);
            }
        }
        Ok(tensors)
    }

    /// Refuses weights that have a name of this model but are not among those of `config`.
    pub(super) fn check_names(&self, config: &Config) -> Result<(), Error> {
        let expected: BTreeSet<String> = config.tensor_shapes().into_iter().map(|(name, _)| name).collect();
        for (full_name, tensor) in self.graph.constants() {
            let Some(name) = full_name.strip_prefix(self.prefix) else {
                continue;
            };
            let parameter = ["electra.", "classifier.", "discriminator_predictions."]
                .iter()
                .any(|module| name.starts_with(module));
            // Quantizers append words such as _quantized and _scale to the name.
            let derived = |expected: &String| name.starts_with(expected.as_str());
            if parameter && is_weight(tensor) && !expected.iter().any(derived) {
                let found = format!("a tensor of dimensions {:?}", tensor.dims);
                return Err(Error::field(self.graph.file, full_name, found, "no such tensor in this model"));
            }
        }
        Ok(())
    }

    /// Returns an embedding matrix, `[rows, width]`.
    pub(super) fn embedding(&self, name: &str) -> Result<Option<Tensor>, Error> {
        let full_name = format!("{}{name}", self.prefix);
        if let Some(tensor) = self.graph.floats(&full_name)? {
            return Ok(Some(tensor));
        }
        let quantized_name = format!("{full_name}_quantized");
        let Some(quantized) = self.graph.decoded(&quantized_name)? else {
            return Ok(None);
        };
        let lookups = self.graph.consumers(&quantized_name).iter().filter(|node| node.op_type == "Gather");
        for output in lookups.filter_map(|node| node.output.first()) {
            if let Some(node) =
                self.graph.consumers(output).iter().find(|node| node.op_type == "DequantizeLinear")
            {
                return self.graph.dequantized(node, &quantized);
            }
        }
        Ok(None)
    }

    /// Returns the name of the embeddings that the input `name` of the graph indexes:
    /// `word_embeddings`, `position_embeddings` or `token_type_embeddings`.
    pub(super) fn embedding_of_input(&self, name: &str) -> Option<&'static str> {
        let lookups = self.graph.effective_consumers(name);
        let tables = lookups.iter().filter(|node| node.op_type == "Gather" && node.input.len() == 2);
        let indexed = tables.filter(|node| !self.graph.has_constant(&node.input[1]));
        let names = ["word_embeddings", "position_embeddings", "token_type_embeddings"];
        indexed.filter_map(|node| node.input.first()).find_map(|table| {
            names.into_iter().find(|name| {
                let full = format!("{}electra.embeddings.{name}.weight", self.prefix);
                table.strip_prefix(&full).is_some_and(|rest| rest.is_empty() || rest == "_quantized")
            })
        })
    }

    /// Returns a LayerNorm parameter, `[width]`.
    pub(super) fn layer_norm(&self, module: &str, parameter: &str) -> Result<Option<Tensor>, Error> {
        if let Some(tensor) = self.graph.floats(&format!("{}{module}.{parameter}", self.prefix))? {
            return Ok(Some(tensor));
        }
        let (input, operation) = if parameter == "weight" { (1, "Mul") } else { (2, "Add") };
        for node in self.in_scope(module) {
            if node.op_type == "LayerNormalization" {
                return node.input.get(input).map_or(Ok(None), |name| self.graph.floats(name));
            }
            if node.op_type == operation
                && let Some((tensor, _)) = self.vector_operand(node)?
            {
                return Ok(Some(tensor));
            }
        }
        Ok(None)
    }

    /// Returns the weight, bias and last node of the linear layer `module`.
    pub(super) fn linear(&self, module: &str) -> Result<Option<Linear<'m>>, Error> {
        let is_end = |node: &&NodeProto| matches!(node.op_type.as_str(), "Gemm" | "Add");
        let bias = format!("{}{module}.bias", self.prefix);
        let named: Vec<_> = self.graph.effective_consumers(&bias).into_iter().filter(is_end).collect();
        let node = if let [node] = named.as_slice() {
            *node
        } else {
            // The name does not exist, or several layers share it.
            let scoped: Vec<_> = self.in_scope(module).filter(is_end).collect();
            let [node] = scoped.as_slice() else {
                return Ok(None);
            };
            *node
        };
        let found = if node.op_type == "Gemm" { self.gemm(node)? } else { self.biased_product(node)? };
        let Some((weight, bias)) = found else {
            let expected =
                format!("the weight and bias of {module}, as MatMul and Add, MatMulInteger or Gemm");
            return Err(Error::field(
                self.graph.file,
                label(node),
                format!("another use of {}", node.op_type),
                expected,
            ));
        };
        Ok(Some(Linear { weight, bias, node }))
    }

    /// Returns the nodes that the TorchScript exporter named after `module`.
    fn in_scope(&self, module: &str) -> impl Iterator<Item = &'m NodeProto> {
        let scope = format!("{}{module}", self.prefix);
        self.graph.nodes.iter().filter(move |node| {
            let path = node.name.strip_prefix('/').and_then(|path| path.rsplit_once('/'));
            path.is_some_and(|(path, _)| path.replace('/', ".") == scope)
        })
    }

    fn gemm(&self, node: &NodeProto) -> Result<Option<(Tensor, Tensor)>, Error> {
        let [_, weight, bias] = node.input.as_slice() else {
            return Ok(None);
        };
        let factor = |name| attribute(node, name).map_or(1.0, |attribute| attribute.f);
        let flag = |name| attribute(node, name).is_some_and(|attribute| attribute.i != 0);
        if factor("alpha") != 1.0 || factor("beta") != 1.0 || flag("transA") {
            return Ok(None);
        }
        let (Some(weight), Some(bias)) = (self.graph.floats(weight)?, self.graph.floats(bias)?) else {
            return Ok(None);
        };
        let weight = if flag("transB") { Some(weight) } else { transposed(&weight) };
        Ok(weight.zip(Some(bias)))
    }

    fn biased_product(&self, node: &NodeProto) -> Result<Option<(Tensor, Tensor)>, Error> {
        let Some((bias, product)) = self.vector_operand(node)? else {
            return Ok(None);
        };
        let Some(product) = self.graph.effective_producer(product) else {
            return Ok(None);
        };
        let weight = match (product.op_type.as_str(), product.input.as_slice()) {
            ("MatMul", [_, weight]) => self.graph.floats(weight)?,
            ("Mul", [left, right]) => match self.dequantized_product(left, right)? {
                Some(weight) => Some(weight),
                None => self.dequantized_product(right, left)?,
            },
            _ => None,
        };
        Ok(weight.and_then(|weight| transposed(&weight)).zip(Some(bias)))
    }

    /// Returns the weight in `Mul(product, scales)`. `product` is an integer product, and `scales`
    /// is the scale of the weight times the scale of the other operand.
    fn dequantized_product(&self, product: &str, scales: &str) -> Result<Option<Tensor>, Error> {
        let Some(product) = self.graph.effective_producer(product) else {
            return Ok(None);
        };
        let ("MatMulInteger", [_, weight, zero_points @ ..]) =
            (product.op_type.as_str(), product.input.as_slice())
        else {
            return Ok(None);
        };
        let Some(scales) = self.graph.effective_producer(scales).filter(|node| node.op_type == "Mul") else {
            return Ok(None);
        };
        let Some(scale) = scales.input.iter().find(|name| self.graph.has_constant(name)) else {
            return Ok(None);
        };
        let Some(weight) = self.graph.decoded(weight)? else {
            return Ok(None);
        };
        self.graph.scaled(product, &weight, scale, zero_points.get(1).map(String::as_str), 1)
    }

    /// Returns the operand of a binary node that is a constant vector, and the name of the other
    /// operand.
    fn vector_operand<'n>(&self, node: &'n NodeProto) -> Result<Option<(Tensor, &'n str)>, Error> {
        let [left, right] = node.input.as_slice() else {
            return Ok(None);
        };
        for (operand, other) in [(left, right), (right, left)] {
            if let Some(tensor) = self.graph.floats(operand)?.filter(|tensor| tensor.shape.len() == 1) {
                return Ok(Some((tensor, other)));
            }
        }
        Ok(None)
    }
}

/// One linear layer of the graph.
pub(super) struct Linear<'m> {
    /// `[outputs, inputs]`.
    pub(super) weight: Tensor,
    /// `[outputs]`.
    pub(super) bias: Tensor,
    /// The node that computes the output of the layer.
    pub(super) node: &'m NodeProto,
}
