//! ONNX graph of ELECTRA and BERT with their heads: the operations of [`crate::model`], one by one.

use tch::Tensor;

use super::graph::{Attribute, Graph};
use crate::error::Result;
use crate::model::config::Head;
use crate::model::folder::Tensors;
use crate::model::{Config, Family};

/// Number that masks a token out when it is added to the token's scores: the most negative f32.
const MASKED: f64 = f32::MIN as f64;
/// Attribute `axis` of the last dimension.
const LAST: Attribute<'static> = Attribute::Integer("axis", -1);

/// Returns the bytes of the file. `tensors` has every weight of `config` and `head`.
pub fn model(config: &Config, head: &Head, tensors: &Tensors, int8: bool) -> Result<Vec<u8>> {
    let mut builder = Builder { graph: Graph::new(int8), config, tensors };
    builder.constants()?;
    let states = builder.encoder()?;
    let (logits, width) = match head {
        Head::Classification(labels) => (builder.classifier(&states)?, labels.len().to_string()),
        _ => (builder.discriminator(&states)?, "sequence".to_owned()),
    };
    builder.graph.named_node("Identity", &[&logits], &["logits"], &[]);
    Ok(builder.graph.finish("logits", &["batch", &width]))
}

struct Builder<'a> {
    graph: Graph,
    config: &'a Config,
    tensors: &'a Tensors,
}

impl<'a> Builder<'a> {
    /// Adds the constants that many nodes share, under names of their own.
    fn constants(&mut self) -> Result<()> {
        let config = self.config;
        let width = config.hidden_size / config.num_attention_heads;
        self.graph.integers("heads_shape", &[0, 0, config.num_attention_heads, width])?;
        self.graph.integers("hidden_shape", &[0, 0, config.hidden_size])?;
        for (name, integers) in [("zero", [0]), ("one", [1])] {
            self.graph.integers(name, &integers)?;
        }
        self.graph.integers("mask_axes", &[1, 2])?;
        for (name, number) in [
            ("sqrt_width", (width as f64).sqrt()),
            ("epsilon", config.layer_norm_eps),
            ("square", 2.0),
            ("sqrt_2", std::f64::consts::SQRT_2),
            ("half", 0.5),
            ("unit", 1.0),
            ("masked", MASKED),
        ] {
            self.graph.number(name, number)?;
        }
        Ok(())
    }

    /// Adds the encoder. Returns the name of its output, `[batch, sequence, hidden]`.
    fn encoder(&mut self) -> Result<String> {
        let ids = self.graph.input("input_ids");
        let mask = self.graph.input("attention_mask");
        let types = self.graph.input("token_type_ids");
        let base = self.config.family.prefix();
        let mut states = self.embeddings(&format!("{base}.embeddings"), &ids, &types)?;
        if self.config.embedding_size != self.config.hidden_size {
            states = self.linear(&format!("{base}.embeddings_project"), &states)?;
        }
        // [batch, 1, 1, sequence]: 0 for a token, MASKED for padding.
        let mask = self.graph.node("Unsqueeze", &[&mask, "mask_axes"], &[]);
        let mask = self.graph.node("Cast", &[&mask], &[Attribute::Integer("to", 1)]);
        let absent = self.graph.node("Sub", &["unit", &mask], &[]);
        let mask = self.graph.node("Mul", &[&absent, "masked"], &[]);
        for layer in 0..self.config.num_hidden_layers {
            states = self.layer(&format!("{base}.encoder.layer.{layer}"), &states, &mask)?;
        }
        Ok(states)
    }

    fn embeddings(&mut self, base: &str, ids: &str, types: &str) -> Result<String> {
        let name = format!("{base}.word_embeddings.weight");
        let words = self.graph.lookup(&name, self.tensor(&name), ids)?;
        // The small tables stay f32.
        let [positions, kinds] =
            ["position", "token_type"].map(|it| format!("{base}.{it}_embeddings.weight"));
        for table in [&positions, &kinds] {
            self.graph.constant(table, self.tensor(table))?;
        }
        let shape = self.graph.node("Shape", &[ids], &[]);
        let length = self.graph.node("Gather", &[&shape, "one"], &[]);
        let positions = self.graph.node("Slice", &[&positions, "zero", &length, "zero"], &[]);
        let kinds = self.graph.node("Gather", &[&kinds, types], &[]);
        let sum = self.graph.node("Add", &[&words, &kinds], &[]);
        let sum = self.graph.node("Add", &[&sum, &positions], &[]);
        self.layer_norm(&format!("{base}.LayerNorm"), &sum)
    }

    fn layer(&mut self, base: &str, states: &str, mask: &str) -> Result<String> {
        let context = self.attention(&format!("{base}.attention.self"), states, mask)?;
        let attended = self.linear(&format!("{base}.attention.output.dense"), &context)?;
        let sum = self.graph.node("Add", &[&attended, states], &[]);
        let attended = self.layer_norm(&format!("{base}.attention.output.LayerNorm"), &sum)?;
        let wide = self.linear(&format!("{base}.intermediate.dense"), &attended)?;
        let wide = self.gelu(&wide);
        let narrow = self.linear(&format!("{base}.output.dense"), &wide)?;
        let sum = self.graph.node("Add", &[&narrow, &attended], &[]);
        self.layer_norm(&format!("{base}.output.LayerNorm"), &sum)
    }

    /// Adds scaled dot-product attention; `[batch, sequence, hidden]` in and out.
    fn attention(&mut self, base: &str, states: &str, mask: &str) -> Result<String> {
        let mut heads = |part: &str, order: [i64; 4]| -> Result<String> {
            let all = self.linear(&format!("{base}.{part}"), states)?;
            let split = self.graph.node("Reshape", &[&all, "heads_shape"], &[]);
            Ok(self.graph.node("Transpose", &[&split], &[Attribute::Integers("perm", &order)]))
        };
        let queries = heads("query", [0, 2, 1, 3])?;
        let keys = heads("key", [0, 2, 3, 1])?;
        let values = heads("value", [0, 2, 1, 3])?;
        let scores = self.graph.node("MatMul", &[&queries, &keys], &[]);
        let scores = self.graph.node("Div", &[&scores, "sqrt_width"], &[]);
        let scores = self.graph.node("Add", &[&scores, mask], &[]);
        let shares = self.graph.node("Softmax", &[&scores], &[LAST]);
        let context = self.graph.node("MatMul", &[&shares, &values], &[]);
        let context =
            self.graph.node("Transpose", &[&context], &[Attribute::Integers("perm", &[0, 2, 1, 3])]);
        Ok(self.graph.node("Reshape", &[&context, "hidden_shape"], &[]))
    }

    /// Adds the classifier. Returns the name of its output, `[batch, labels]`.
    fn classifier(&mut self, states: &str) -> Result<String> {
        // An index without dimensions removes the dimension that it selects from.
        self.graph.constant("first", &Tensor::from(0_i64))?;
        let first = self.graph.node("Gather", &[states, "first"], &[Attribute::Integer("axis", 1)]);
        let (dense, output) = match self.config.family {
            Family::Bert => ("bert.pooler.dense", "classifier"),
            Family::Electra | Family::Mpnet => ("classifier.dense", "classifier.out_proj"),
        };
        let pooled = self.linear(dense, &first)?;
        let pooled = match self.config.family {
            Family::Electra => self.gelu(&pooled),
            Family::Bert | Family::Mpnet => self.graph.node("Tanh", &[&pooled], &[]),
        };
        self.linear(output, &pooled)
    }

    /// Adds the discriminator. Returns the name of its output, `[batch, sequence]`.
    fn discriminator(&mut self, states: &str) -> Result<String> {
        let states = self.linear("discriminator_predictions.dense", states)?;
        let states = self.gelu(&states);
        let logits = self.linear("discriminator_predictions.dense_prediction", &states)?;
        self.graph.integers("last_axis", &[-1])?;
        Ok(self.graph.node("Squeeze", &[&logits, "last_axis"], &[]))
    }

    fn linear(&mut self, name: &str, input: &str) -> Result<String> {
        let [weight, bias] = ["weight", "bias"].map(|it| self.tensor(&format!("{name}.{it}")));
        self.graph.linear(name, input, weight, bias)
    }

    /// Adds LayerNorm as single operators, as PyTorch exports it. ONNX Runtime fuses them, and
    /// every reader supports them.
    fn layer_norm(&mut self, name: &str, input: &str) -> Result<String> {
        let over = [Attribute::Integers("axes", &[-1])];
        let mean = self.graph.node("ReduceMean", &[input], &over);
        let centred = self.graph.node("Sub", &[input, &mean], &[]);
        let squares = self.graph.node("Pow", &[&centred, "square"], &[]);
        let variance = self.graph.node("ReduceMean", &[&squares], &over);
        let variance = self.graph.node("Add", &[&variance, "epsilon"], &[]);
        let deviation = self.graph.node("Sqrt", &[&variance], &[]);
        let normal = self.graph.node("Div", &[&centred, &deviation], &[]);
        let [weight, bias] = ["weight", "bias"].map(|it| format!("{name}.{it}"));
        for parameter in [&weight, &bias] {
            self.graph.constant(parameter, self.tensor(parameter))?;
        }
        let scaled = self.graph.node("Mul", &[&normal, &weight], &[]);
        Ok(self.graph.node("Add", &[&scaled, &bias], &[]))
    }

    /// Adds `x (1 + erf(x / √2)) / 2`.
    fn gelu(&mut self, input: &str) -> String {
        let narrow = self.graph.node("Div", &[input, "sqrt_2"], &[]);
        let error = self.graph.node("Erf", &[&narrow], &[]);
        let share = self.graph.node("Add", &[&error, "unit"], &[]);
        let product = self.graph.node("Mul", &[input, &share], &[]);
        self.graph.node("Mul", &[&product, "half"], &[])
    }

    /// Returns a weight. Panics if the model does not have it, which is an error in the program.
    fn tensor(&self, name: &str) -> &'a Tensor {
        match self.tensors.get(name) {
            Some(tensor) => tensor,
            None => unreachable!("no weight {name}"),
        }
    }
}
