//! ELECTRA in f32 as published (Clark et al. 2020; layers as in BERT), computed from the tensors of
//! a checkpoint. Nothing is quantized, GELU is exact, and every row is computed.

use crate::checkpoint::{Checkpoint, Head};

/// Number of outputs that the matrix product computes together.
const PANEL: usize = 8;
/// Number of rows that the matrix product computes together.
const ROWS: usize = 4;

/// A matrix in row-major order.
#[derive(Debug)]
struct Rows {
    width: usize,
    data: Vec<f32>,
}

#[derive(Debug)]
struct Linear {
    outputs: usize,
    inputs: usize,
    /// Weights as `[outputs/8][inputs][8]`, padded with zeros.
    panels: Vec<f32>,
    bias: Vec<f32>,
}

#[derive(Debug)]
struct Norm {
    gamma: Vec<f32>,
    beta: Vec<f32>,
    epsilon: f32,
}

#[derive(Debug)]
struct Layer {
    query: Linear,
    key: Linear,
    value: Linear,
    attention_output: Linear,
    attention_norm: Norm,
    intermediate: Linear,
    output: Linear,
    output_norm: Norm,
}

/// A checkpoint with its weights in the order in which they are used.
#[derive(Debug)]
pub struct Float<'c> {
    checkpoint: &'c Checkpoint,
    embedding_norm: Norm,
    projection: Option<Linear>,
    layers: Vec<Layer>,
    dense: Linear,
    output: Linear,
}

impl<'c> Float<'c> {
    /// Reorders the weights of `checkpoint`, which its reader has checked.
    pub fn new(checkpoint: &'c Checkpoint) -> Self {
        let config = &checkpoint.config;
        let linear = |name: &str| Linear::of(checkpoint, name);
        let norm = |name: &str| Norm::of(checkpoint, name);
        let layer = |index: usize| {
            let name = format!("electra.encoder.layer.{index}");
            Layer {
                query: linear(&format!("{name}.attention.self.query")),
                key: linear(&format!("{name}.attention.self.key")),
                value: linear(&format!("{name}.attention.self.value")),
                attention_output: linear(&format!("{name}.attention.output.dense")),
                attention_norm: norm(&format!("{name}.attention.output.LayerNorm")),
                intermediate: linear(&format!("{name}.intermediate.dense")),
                output: linear(&format!("{name}.output.dense")),
                output_norm: norm(&format!("{name}.output.LayerNorm")),
            }
        };
        let [dense, output] = match config.head {
            Head::Classification { .. } => ["classifier.dense", "classifier.out_proj"],
            Head::ReplacedTokenDetection => {
                ["discriminator_predictions.dense", "discriminator_predictions.dense_prediction"]
            }
        };
        let projects = config.embedding_size != config.hidden_size;
        Self {
            checkpoint,
            embedding_norm: norm("electra.embeddings.LayerNorm"),
            projection: projects.then(|| linear("electra.embeddings_project")),
            layers: (0..config.num_hidden_layers).map(layer).collect(),
            dense: linear(dense),
            output: linear(output),
        }
    }

    /// Returns one logit per label for a classifier, or one per token for a detector.
    pub fn logits(&self, ids: &[u16]) -> Vec<f32> {
        self.trace(ids, |_| {})
    }

    /// Returns the logits. `seen` receives the hidden states `[tokens, hidden]` that enter the
    /// first layer and those that leave each layer.
    pub fn trace(&self, ids: &[u16], mut seen: impl FnMut(&[f32])) -> Vec<f32> {
        let heads = self.checkpoint.config.num_attention_heads;
        let mut hidden = self.embed(ids);
        seen(&hidden.data);
        for layer in &self.layers {
            hidden = layer.run(hidden, heads);
            seen(&hidden.data);
        }
        if matches!(self.checkpoint.config.head, Head::Classification { .. }) {
            hidden.data.truncate(hidden.width);
        }
        let mut dense = self.dense.run(&hidden);
        dense.data.iter_mut().for_each(|x| *x = gelu(*x));
        self.output.run(&dense).data
    }

    fn embed(&self, ids: &[u16]) -> Rows {
        let width = self.checkpoint.config.embedding_size;
        let table = |name: &str| {
            &self.checkpoint.tensors[&format!("electra.embeddings.{name}_embeddings.weight")].data
        };
        let (words, positions, types) = (table("word"), table("position"), table("token_type"));
        let mut data = Vec::with_capacity(ids.len() * width);
        for (position, id) in ids.iter().enumerate() {
            let word = &words[usize::from(*id) * width..][..width];
            let position = &positions[position * width..][..width];
            data.extend(
                word.iter().zip(position).zip(types).map(|((word, position), kind)| word + position + kind),
            );
        }
        let mut rows = Rows { width, data };
        self.embedding_norm.run(&mut rows);
        match &self.projection {
            Some(projection) => projection.run(&rows),
            None => rows,
        }
    }
}

impl Layer {
    fn run(&self, mut hidden: Rows, heads: usize) -> Rows {
        let (queries, keys, values) =
            (self.query.run(&hidden), self.key.run(&hidden), self.value.run(&hidden));
        let context = attention(&queries, &keys, &values, heads);
        add(&mut hidden, &self.attention_output.run(&context));
        self.attention_norm.run(&mut hidden);
        let mut wide = self.intermediate.run(&hidden);
        wide.data.iter_mut().for_each(|x| *x = gelu(*x));
        add(&mut hidden, &self.output.run(&wide));
        self.output_norm.run(&mut hidden);
        hidden
    }
}

/// Computes softmax(Q Kᵀ / sqrt(d)) V for each head.
fn attention(queries: &Rows, keys: &Rows, values: &Rows, heads: usize) -> Rows {
    let size = queries.width / heads;
    let scale = 1.0 / (size as f32).sqrt();
    let mut context = vec![0f32; queries.data.len()];
    for head in (0..queries.width).step_by(size) {
        let part = |rows: &'_ [f32]| -> Vec<f32> { rows[head..head + size].to_vec() };
        for (query, context) in queries.rows().zip(context.chunks_exact_mut(queries.width)) {
            let query = part(query);
            let dot = |key: &[f32]| -> f32 { query.iter().zip(&key[head..]).map(|(q, k)| q * k).sum() };
            let scores: Vec<f32> = keys.rows().map(|key| dot(key) * scale).collect();
            let greatest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let exponentials: Vec<f32> = scores.iter().map(|score| (score - greatest).exp()).collect();
            let total: f32 = exponentials.iter().sum();
            for (exponential, value) in exponentials.iter().zip(values.rows()) {
                for (context, value) in context[head..head + size].iter_mut().zip(&value[head..]) {
                    *context += exponential / total * value;
                }
            }
        }
    }
    Rows { width: queries.width, data: context }
}

impl Rows {
    fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.data.chunks_exact(self.width)
    }
}

impl Linear {
    fn of(checkpoint: &Checkpoint, name: &str) -> Self {
        let weight = &checkpoint.tensors[&format!("{name}.weight")];
        let (outputs, inputs) = (weight.shape[0], weight.shape[1]);
        let mut panels = vec![0.0; outputs.next_multiple_of(PANEL) * inputs];
        for (output, row) in weight.data.chunks_exact(inputs).enumerate() {
            for (input, value) in row.iter().enumerate() {
                panels[(output / PANEL * inputs + input) * PANEL + output % PANEL] = *value;
            }
        }
        let bias = checkpoint.tensors[&format!("{name}.bias")].data.clone();
        Self { outputs, inputs, panels, bias }
    }

    fn run(&self, x: &Rows) -> Rows {
        assert_eq!(x.width, self.inputs);
        let mut out = vec![0f32; x.data.len() / x.width * self.outputs];
        for (x, out) in x.data.chunks(ROWS * self.inputs).zip(out.chunks_mut(ROWS * self.outputs)) {
            for (index, panel) in self.panels.chunks_exact(self.inputs * PANEL).enumerate() {
                let first = index * PANEL;
                let sums = self.tile(x, panel);
                for (out, sums) in out.chunks_exact_mut(self.outputs).zip(sums) {
                    let columns = out[first..].iter_mut().zip(&self.bias[first..]).zip(sums);
                    columns.for_each(|((out, bias), sum)| *out = sum + bias);
                }
            }
        }
        Rows { width: self.outputs, data: out }
    }

    fn tile(&self, x: &[f32], panel: &[f32]) -> [[f32; PANEL]; ROWS] {
        let mut sums = [[0f32; PANEL]; ROWS];
        let (weights, _) = panel.as_chunks::<PANEL>();
        if x.len() == ROWS * self.inputs {
            let rows: [&[f32]; ROWS] = std::array::from_fn(|row| &x[row * self.inputs..][..weights.len()]);
            for (k, weights) in weights.iter().enumerate() {
                for (sums, row) in sums.iter_mut().zip(rows) {
                    for (sum, weight) in sums.iter_mut().zip(weights) {
                        *sum += row[k] * weight;
                    }
                }
            }
        } else {
            for (sums, row) in sums.iter_mut().zip(x.chunks_exact(self.inputs)) {
                for (x, weights) in row.iter().zip(weights) {
                    for (sum, weight) in sums.iter_mut().zip(weights) {
                        *sum += x * weight;
                    }
                }
            }
        }
        sums
    }
}

impl Norm {
    fn of(checkpoint: &Checkpoint, name: &str) -> Self {
        let data = |part: &str| checkpoint.tensors[&format!("{name}.{part}")].data.clone();
        Self { gamma: data("weight"), beta: data("bias"), epsilon: checkpoint.config.layer_norm_eps }
    }

    fn run(&self, rows: &mut Rows) {
        let width = rows.width as f32;
        for row in rows.data.chunks_exact_mut(rows.width) {
            let mean = row.iter().sum::<f32>() / width;
            let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / width;
            let deviation = (variance + self.epsilon).sqrt();
            for ((x, gamma), beta) in row.iter_mut().zip(&self.gamma).zip(&self.beta) {
                *x = (*x - mean) / deviation * gamma + beta;
            }
        }
    }
}

fn add(to: &mut Rows, rows: &Rows) {
    to.data.iter_mut().zip(&rows.data).for_each(|(to, x)| *to += x);
}

pub(crate) fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + libm::erff(x * std::f32::consts::FRAC_1_SQRT_2))
}
