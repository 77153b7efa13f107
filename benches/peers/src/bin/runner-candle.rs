//! Runs a Hugging Face folder with candle. The forward pass of an ELECTRA classifier uses candle's
//! fused softmax and LayerNorm, and matrix products with AVX-512. The variant determines when
//! weights are transposed: `in-runs`, as in candle's own `Linear`, or `once`. As in electra-edge,
//! the last layer computes only what a classifier reads.
#![forbid(unsafe_code)]

use std::fs;
use std::process::ExitCode;

use candle_core::{DType, Device, Module, Result, Tensor};
use candle_nn::{Embedding, LayerNorm, VarBuilder, embedding, layer_norm, ops};
use electra_peers::{Arguments, Counting, Outcome, Peer};
use serde_json::Value;

#[global_allocator]
static COUNTING: Counting = Counting;

/// Sizes of the model, and whether its weights are transposed once.
struct Sizes {
    vocabulary: usize,
    embedding: usize,
    hidden: usize,
    layers: usize,
    heads: usize,
    intermediate: usize,
    positions: usize,
    types: usize,
    labels: usize,
    epsilon: f64,
    transpose_once: bool,
}

impl Sizes {
    fn read(config: &Value, variant: &str) -> Outcome<Self> {
        let size = |name: &str| -> Outcome<usize> {
            let value = config.get(name).and_then(Value::as_u64);
            Ok(value.ok_or_else(|| format!("config.json: {name}: expected a whole number"))?.try_into()?)
        };
        let labels = config.get("id2label").and_then(Value::as_object);
        let epsilon = config.get("layer_norm_eps").and_then(Value::as_f64);
        Ok(Self {
            vocabulary: size("vocab_size")?,
            embedding: size("embedding_size")?,
            hidden: size("hidden_size")?,
            layers: size("num_hidden_layers")?,
            heads: size("num_attention_heads")?,
            intermediate: size("intermediate_size")?,
            positions: size("max_position_embeddings")?,
            types: size("type_vocab_size")?,
            labels: labels.ok_or("config.json: id2label: expected an object")?.len(),
            epsilon: epsilon.ok_or("config.json: layer_norm_eps: expected a number")?,
            transpose_once: match variant {
                "once" => true,
                "in-runs" => false,
                _ => return Err(format!("variant {variant:?} found, expected once or in-runs").into()),
            },
        })
    }
}

struct Linear {
    /// `[inputs, outputs]`.
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    fn load(sizes: &Sizes, inputs: usize, outputs: usize, vb: VarBuilder) -> Result<Self> {
        Self::new(sizes, &vb.get((outputs, inputs), "weight")?, vb.get(outputs, "bias")?)
    }

    fn new(sizes: &Sizes, weight: &Tensor, bias: Tensor) -> Result<Self> {
        let weight = weight.t()?;
        Ok(Self { weight: if sizes.transpose_once { weight.contiguous()? } else { weight }, bias })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        x.matmul(&self.weight)?.broadcast_add(&self.bias)
    }
}

struct Embeddings {
    words: Embedding,
    positions: Tensor,
    types: Tensor,
    norm: LayerNorm,
    projection: Linear,
}

impl Embeddings {
    fn load(sizes: &Sizes, vb: &VarBuilder) -> Result<Self> {
        let own = vb.pp("embeddings");
        let width = sizes.embedding;
        Ok(Self {
            words: embedding(sizes.vocabulary, width, own.pp("word_embeddings"))?,
            positions: own.pp("position_embeddings").get((sizes.positions, width), "weight")?,
            types: own.pp("token_type_embeddings").get((sizes.types, width), "weight")?,
            norm: layer_norm(width, sizes.epsilon, own.pp("LayerNorm"))?,
            projection: Linear::load(sizes, width, sizes.hidden, vb.pp("embeddings_project"))?,
        })
    }

    fn forward(&self, ids: &Tensor) -> Result<Tensor> {
        let tokens = ids.dim(0)?;
        let sum = (self.words.forward(ids)? + self.positions.narrow(0, 0, tokens)?)?;
        let sum = sum.broadcast_add(&self.types.narrow(0, 0, 1)?)?;
        self.projection.forward(&self.norm.forward(&sum)?)
    }
}

struct Layer {
    query: Linear,
    key_value: Linear,
    attention_output: Linear,
    attention_norm: LayerNorm,
    intermediate: Linear,
    output: Linear,
    output_norm: LayerNorm,
    heads: usize,
}

impl Layer {
    fn load(sizes: &Sizes, vb: &VarBuilder) -> Result<Self> {
        let (hidden, inner) = (sizes.hidden, sizes.intermediate);
        let attention = vb.pp("attention");
        let own = attention.pp("self");
        let stacked = |name: &str| {
            Tensor::cat(&[own.pp("key").get_unchecked(name)?, own.pp("value").get_unchecked(name)?], 0)
        };
        Ok(Self {
            query: Linear::load(sizes, hidden, hidden, own.pp("query"))?,
            key_value: Linear::new(sizes, &stacked("weight")?, stacked("bias")?)?,
            attention_output: Linear::load(sizes, hidden, hidden, attention.pp("output").pp("dense"))?,
            attention_norm: layer_norm(hidden, sizes.epsilon, attention.pp("output").pp("LayerNorm"))?,
            intermediate: Linear::load(sizes, hidden, inner, vb.pp("intermediate").pp("dense"))?,
            output: Linear::load(sizes, inner, hidden, vb.pp("output").pp("dense"))?,
            output_norm: layer_norm(hidden, sizes.epsilon, vb.pp("output").pp("LayerNorm"))?,
            heads: sizes.heads,
        })
    }

    /// Returns the layer's output for `rows`, `[rows, hidden]`. `rows` are some or all of the rows
    /// of `x`, `[tokens, hidden]`.
    fn forward(&self, x: &Tensor, rows: &Tensor) -> Result<Tensor> {
        let attended = self.attention_output.forward(&self.attention(x, rows)?)?;
        let x = self.attention_norm.forward(&(attended + rows)?)?;
        let inner = self.intermediate.forward(&x)?.gelu_erf()?;
        self.output_norm.forward(&(self.output.forward(&inner)? + x)?)
    }

    /// Returns the concatenated outputs of all heads, `[rows, hidden]`.
    fn attention(&self, x: &Tensor, rows: &Tensor) -> Result<Tensor> {
        let (tokens, hidden) = x.dims2()?;
        let count = rows.dim(0)?;
        let width = hidden / self.heads;
        let query =
            self.query.forward(rows)?.reshape((count, self.heads, width))?.transpose(0, 1)?.contiguous()?;
        let key_value = self.key_value.forward(x)?.reshape((tokens, 2, self.heads, width))?;
        let part = |index: usize| key_value.narrow(1, index, 1)?.squeeze(1)?.transpose(0, 1)?.contiguous();
        let scores = (query.matmul(&part(0)?.t()?)? / (width as f64).sqrt())?;
        let context = ops::softmax_last_dim(&scores)?.matmul(&part(1)?)?;
        context.transpose(0, 1)?.contiguous()?.reshape((count, hidden))
    }
}

struct Candle {
    embeddings: Embeddings,
    layers: Vec<Layer>,
    dense: Linear,
    output: Linear,
}

impl Peer for Candle {
    const VERSION: &'static str = "candle 0.11.1";

    fn open(arguments: &Arguments, _tokens: usize) -> Outcome<Self> {
        let config = fs::read(arguments.model.join("config.json"))?;
        let sizes = Sizes::read(&serde_json::from_slice(&config)?, &arguments.variant)?;
        let weights = fs::read(arguments.model.join("model.safetensors"))?;
        let vb = VarBuilder::from_buffered_safetensors(weights, DType::F32, &Device::Cpu)?;
        let (own, head) = (vb.pp("electra"), vb.pp("classifier"));
        let layers =
            (0..sizes.layers).map(|layer| Layer::load(&sizes, &own.pp("encoder").pp("layer").pp(layer)));
        Ok(Self {
            embeddings: Embeddings::load(&sizes, &own)?,
            layers: layers.collect::<Result<_>>()?,
            dense: Linear::load(&sizes, sizes.hidden, sizes.hidden, head.pp("dense"))?,
            output: Linear::load(&sizes, sizes.hidden, sizes.labels, head.pp("out_proj"))?,
        })
    }

    fn run(&mut self, ids: &[u16], logits: &mut Vec<f32>) -> Outcome<()> {
        let ids: Vec<u32> = ids.iter().copied().map(u32::from).collect();
        let mut x = self.embeddings.forward(&Tensor::new(ids, &Device::Cpu)?)?;
        let (last, before) =
            self.layers.split_last().ok_or("config.json: num_hidden_layers: 0 found, expected more")?;
        for layer in before {
            x = layer.forward(&x, &x)?;
        }
        let first = last.forward(&x, &x.narrow(0, 0, 1)?)?;
        let output = self.output.forward(&self.dense.forward(&first)?.gelu_erf()?)?;
        logits.extend(output.flatten_all()?.to_vec1::<f32>()?);
        Ok(())
    }
}

fn main() -> ExitCode {
    electra_peers::main::<Candle>()
}
