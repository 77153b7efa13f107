//! A second implementation of `docs/numerics.md`, with plain loops over the tensors of the
//! checkpoint. The logits of the engine must have the same bits.
#![forbid(unsafe_code)]

use electra_core::{Engine, Kernels, Model, arena_bytes};
use electra_pack::checkpoint::{Checkpoint, Head};
use electra_tests::{Aligned, Random, Sizes, pack, read_folder, shared};

const GELU: [f32; 6] = [0.39667928, -0.06283538, 0.007943557, -0.0006330362, 2.8025555e-5, -5.205391e-7];
const EXP: [i32; 4] = [32767, 32687, 15547, 3455];

type Rows = Vec<Vec<f32>>;

struct Int8Row {
    values: Vec<i32>,
    scale: f32,
}

/// `W[n][k]` as int8 with one scale per row.
struct Int8Matrix(Vec<Int8Row>);

struct Linear {
    weight: Int8Matrix,
    bias: Vec<f32>,
}

struct Norm {
    gamma: Vec<f32>,
    beta: Vec<f32>,
    epsilon: f32,
}

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

struct Emulation {
    words: Int8Matrix,
    positions: Int8Matrix,
    type_0: Vec<f32>,
    embedding_norm: Norm,
    projection: Option<Linear>,
    layers: Vec<Layer>,
    heads: usize,
    dense: Linear,
    output: Linear,
    classifies: bool,
}

impl Emulation {
    fn new(checkpoint: &Checkpoint) -> Self {
        let linear = |name: &str| Linear {
            weight: Int8Matrix::of(checkpoint, &format!("{name}.weight")),
            bias: data(checkpoint, &format!("{name}.bias")),
        };
        let norm = |name: &str| Norm {
            gamma: data(checkpoint, &format!("{name}.weight")),
            beta: data(checkpoint, &format!("{name}.bias")),
            epsilon: checkpoint.config.layer_norm_eps,
        };
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
        let config = &checkpoint.config;
        let (classifies, [dense, output]) = match config.head {
            Head::Classification { .. } => (true, ["classifier.dense", "classifier.out_proj"]),
            Head::ReplacedTokenDetection => {
                (false, ["discriminator_predictions.dense", "discriminator_predictions.dense_prediction"])
            }
        };
        let mut types = data(checkpoint, "electra.embeddings.token_type_embeddings.weight");
        types.truncate(config.embedding_size);
        let projects = config.embedding_size != config.hidden_size;
        Self {
            words: Int8Matrix::of(checkpoint, "electra.embeddings.word_embeddings.weight"),
            positions: Int8Matrix::of(checkpoint, "electra.embeddings.position_embeddings.weight"),
            type_0: types,
            embedding_norm: norm("electra.embeddings.LayerNorm"),
            projection: projects.then(|| linear("electra.embeddings_project")),
            layers: (0..config.num_hidden_layers).map(layer).collect(),
            heads: config.num_attention_heads,
            dense: linear(dense),
            output: linear(output),
            classifies,
        }
    }

    fn logits(&self, ids: &[u16]) -> Vec<f32> {
        let mut hidden: Rows = ids.iter().enumerate().map(|(at, id)| self.embed(*id, at)).collect();
        for layer in &self.layers {
            hidden = layer.run(hidden, self.heads);
        }
        let rows = if self.classifies { &hidden[..1] } else { &hidden[..] };
        rows.iter()
            .flat_map(|row| {
                let dense: Vec<f32> = self.dense.run(&quantize(row)).into_iter().map(gelu).collect();
                self.output.run(&quantize(&dense))
            })
            .collect()
    }

    fn embed(&self, id: u16, position: usize) -> Vec<f32> {
        let (word, position) = (&self.words.0[usize::from(id)], &self.positions.0[position]);
        let sum = (0..self.type_0.len())
            .map(|i| {
                let words = word.values[i] as f32 * word.scale;
                (words + position.values[i] as f32 * position.scale) + self.type_0[i]
            })
            .collect();
        let row = self.embedding_norm.run(sum);
        match &self.projection {
            Some(projection) => projection.run(&quantize(&row)),
            None => row,
        }
    }
}

impl Layer {
    fn run(&self, hidden: Rows, heads: usize) -> Rows {
        let inputs: Vec<Int8Row> = hidden.iter().map(|row| quantize(row)).collect();
        let through = |linear: &Linear| -> Rows { inputs.iter().map(|row| linear.run(row)).collect() };
        let (queries, keys, values) = (through(&self.query), through(&self.key), through(&self.value));
        let width = queries[0].len() / heads;
        let mut contexts: Rows = vec![Vec::new(); hidden.len()];
        for head in 0..heads {
            let part = |rows: &Rows| -> Rows {
                rows.iter().map(|row| row[head * width..(head + 1) * width].to_vec()).collect()
            };
            let of_head = attention(&part(&queries), &part(&keys), &part(&values));
            for (context, part) in contexts.iter_mut().zip(of_head) {
                context.extend(part);
            }
        }
        let rows = contexts.into_iter().zip(hidden);
        rows.map(|(context, residual)| {
            let attended = add(&residual, self.attention_output.run(&quantize(&context)));
            let attended = self.attention_norm.run(attended);
            let wide: Vec<f32> = self.intermediate.run(&quantize(&attended)).into_iter().map(gelu).collect();
            self.output_norm.run(add(&attended, self.output.run(&quantize(&wide))))
        })
        .collect()
    }
}

/// Computes one head. Returns the context of each token.
fn attention(queries: &Rows, keys: &Rows, values: &Rows) -> Rows {
    let width = queries[0].len();
    let keys: Vec<Int8Row> = keys.iter().map(|row| quantize(row)).collect();
    let values = quantize(&values.concat());
    let root = 4096.0 / (width as f32).sqrt();
    let context = |query: &Vec<f32>| -> Vec<f32> {
        let query = quantize(query);
        let factor = query.scale * root;
        let scores: Vec<f32> =
            keys.iter().map(|key| dot(&query.values, &key.values) as f32 * key.scale * factor).collect();
        let greatest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let probabilities: Vec<i64> =
            scores.iter().map(|score| i64::from(probability(score - greatest))).collect();
        let total: i64 = probabilities.iter().sum();
        let factor = values.scale / total as f32;
        (0..width)
            .map(|column| {
                let column = values.values.iter().skip(column).step_by(width);
                let sum: i64 = probabilities.iter().zip(column).map(|(p, v)| p * i64::from(*v)).sum();
                sum as f32 * factor
            })
            .collect()
    };
    queries.iter().map(context).collect()
}

impl Int8Matrix {
    fn of(checkpoint: &Checkpoint, name: &str) -> Self {
        let tensor = &checkpoint.tensors[name];
        let row = |row: &[f32]| {
            let scale = greatest(row) / 127.0;
            let int8 = |weight: &f32| if scale > 0.0 { (weight / scale).round_ties_even() as i32 } else { 0 };
            Int8Row { values: row.iter().map(int8).collect(), scale }
        };
        Self(tensor.data.chunks(tensor.shape[1]).map(row).collect())
    }
}

impl Linear {
    fn run(&self, x: &Int8Row) -> Vec<f32> {
        let outputs = self.weight.0.iter().zip(&self.bias);
        outputs
            .map(|(weight, bias)| {
                let sum = dot(&x.values, &weight.values) as f32;
                ((sum * weight.scale) * x.scale) + bias
            })
            .collect()
    }
}

impl Norm {
    fn run(&self, x: Vec<f32>) -> Vec<f32> {
        let reciprocal = 1.0 / x.len() as f32;
        let mean = sum(&x) * reciprocal;
        let d: Vec<f32> = x.iter().map(|x| x - mean).collect();
        let squares: Vec<f32> = d.iter().map(|d| d * d).collect();
        let variance = sum(&squares) * reciprocal;
        let r = 1.0 / (variance + self.epsilon).sqrt();
        d.iter().zip(&self.gamma).zip(&self.beta).map(|((d, gamma), beta)| ((d * r) * gamma) + beta).collect()
    }
}

fn quantize(x: &[f32]) -> Int8Row {
    let m = greatest(x);
    let (scale, r) = if m < 1e-30 { (0.0, 0.0) } else { (m / 127.0, 127.0 / m) };
    Int8Row { values: x.iter().map(|x| (x * r).round_ties_even() as i32).collect(), scale }
}

fn greatest(x: &[f32]) -> f32 {
    x.iter().fold(0.0, |greatest, x| greatest.max(x.abs()))
}

fn dot(a: &[i32], b: &[i32]) -> i32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(residual: &[f32], y: Vec<f32>) -> Vec<f32> {
    residual.iter().zip(y).map(|(residual, y)| residual + y).collect()
}

fn sum(x: &[f32]) -> f32 {
    let mut s = [0f32; 16];
    for (i, x) in x.iter().enumerate() {
        s[i % 16] += x;
    }
    for half in [8, 4, 2, 1] {
        for i in 0..half {
            s[i] += s[i + half];
        }
    }
    s[0]
}

fn gelu(x: f32) -> f32 {
    let c = x.clamp(-3.63, 3.63);
    x * (0.5 + c * polynomial(&GELU, c * c))
}

/// Computes 255 · e^(x / 4096) in numbers with fifteen fractional bits.
fn probability(x: f32) -> i32 {
    let z = x.max(-32768.0).round_ties_even() as i32;
    let [b0, b1, b2, b3] = EXP;
    let b = product(product(product(b3, z) + b2, z) + b1, z) + b0;
    let b = product(b, b);
    let b = product(b, b);
    let b = product(b, b);
    product(b, 255)
}

/// Multiplies numbers of sixteen bits and rounds the product to fifteen fractional bits.
fn product(a: i32, b: i32) -> i32 {
    assert!(i16::try_from(a).is_ok() && i16::try_from(b).is_ok(), "{a} and {b} are no i16");
    (a * b + 16384) >> 15
}

/// Evaluates a polynomial with Horner's scheme. `coefficients[0]` is the constant.
fn polynomial(coefficients: &[f32], x: f32) -> f32 {
    coefficients.iter().rev().copied().reduce(|sum, coefficient| sum * x + coefficient).unwrap_or(0.0)
}

fn data(checkpoint: &Checkpoint, name: &str) -> Vec<f32> {
    checkpoint.tensors[name].data.clone()
}

/// Compares both implementations on `sequences`. Returns the number of compared logits. If logits
/// differ, the message shows both values.
fn compare(name: &str, checkpoint: &Checkpoint, sequences: &[Vec<u16>]) -> usize {
    let emulation = Emulation::new(checkpoint);
    let bytes = Aligned::copy_of(&pack(checkpoint));
    let model = Model::open(bytes.bytes()).unwrap_or_else(|error| panic!("{name}: {error}"));
    let longest = sequences.iter().map(Vec::len).max().unwrap_or(1);
    let mut arena = Aligned::zeroed(arena_bytes(model.config(), longest));
    let engine = Engine::new(&model, Kernels::detect(), arena.bytes_mut(), longest);
    let mut engine = engine.unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut compared = 0;
    for ids in sequences {
        let expected = emulation.logits(ids);
        let found = engine.run(ids).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(found.len(), expected.len(), "{name}: {} tokens", ids.len());
        for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
            assert_eq!(
                found.to_bits(),
                expected.to_bits(),
                "{name}: {} tokens: logit {index} is {found}, expected {expected}",
                ids.len()
            );
        }
        compared += found.len();
    }
    compared
}

fn compare_random(sizes: Sizes, seed: u64) {
    let mut random = Random::new(seed ^ 0xabcd);
    let lengths = [1, 2, 3, 15, 16, 17, 33, 64, 100];
    let sequences: Vec<_> = lengths.iter().map(|len| random.ids(*len, sizes.vocab)).collect();
    let compared = compare(&format!("{sizes:?}"), &sizes.checkpoint(seed), &sequences);
    println!("{sizes:?}: {compared} logits bit-equal");
}

fn sizes(
    [embedding, hidden, layers, heads, intermediate]: [usize; 5],
    labels: impl Into<Option<usize>>,
) -> Sizes {
    let labels = labels.into();
    Sizes { vocab: 150, embedding, hidden, layers, heads, intermediate, positions: 100, labels }
}

#[test]
fn one_layer_without_projection() {
    compare_random(sizes([64, 64, 1, 4, 128], 2), 1);
    compare_random(sizes([64, 64, 1, 1, 128], None), 2);
}

#[test]
fn three_layers_with_projection() {
    compare_random(sizes([32, 64, 3, 2, 256], 3), 3);
    compare_random(sizes([32, 64, 3, 2, 256], None), 4);
    compare_random(sizes([128, 64, 3, 1, 64], 4), 5);
    // The feed-forward block is narrower inside than outside.
    compare_random(sizes([32, 64, 2, 2, 16], 2), 14);
}

#[test]
fn widths_that_are_no_multiple_of_64() {
    compare_random(sizes([16, 48, 2, 3, 80], 1), 6);
    compare_random(sizes([48, 80, 2, 5, 112], None), 7);
    compare_random(sizes([80, 96, 1, 3, 144], 5), 8);
    compare_random(sizes([16, 16, 1, 1, 16], 2), 9);
    compare_random(sizes([112, 144, 2, 3, 208], 3), 10);
}

#[test]
fn the_head_widths_of_published_models() {
    compare_random(sizes([128, 256, 1, 4, 512], 2), 11);
    compare_random(sizes([64, 128, 2, 1, 128], None), 12);
}

#[test]
fn rows_of_zeros_have_scale_zero() {
    let mut checkpoint = sizes([32, 64, 2, 2, 64], 2).checkpoint(13);
    for name in
        ["electra.embeddings.word_embeddings.weight", "electra.encoder.layer.0.attention.self.value.weight"]
    {
        let tensor = checkpoint.tensors.get_mut(name);
        let tensor = tensor.unwrap_or_else(|| panic!("{name} is missing"));
        tensor.data[..tensor.shape[1] * 3].fill(0.0);
    }
    // Keys of zeros make all scores equal.
    for part in ["weight", "bias"] {
        let name = format!("electra.encoder.layer.1.attention.self.key.{part}");
        let tensor = checkpoint.tensors.get_mut(&name);
        tensor.unwrap_or_else(|| panic!("{name} is missing")).data.fill(0.0);
    }
    compare("zeros", &checkpoint, &[vec![0, 1, 2, 3, 4], vec![1], vec![2; 20]]);
}

#[test]
#[cfg_attr(emulated, ignore = "takes minutes on an emulated processor")]
fn reference_checkpoints() {
    let Some(shared) = shared("reference_checkpoints") else { return };
    for name in ["tiny-classifier", "tiny-rtd", "electra-small-sst2-v0"] {
        let folder = shared.join("reference").join(name);
        let checkpoint = read_folder(&folder);
        let lines = std::fs::read_to_string(folder.join("expected.jsonl"));
        let lines = lines.unwrap_or_else(|error| panic!("{name}: {error}"));
        let sequences: Vec<Vec<u16>> = lines
            .lines()
            .map(|line| {
                let line: serde_json::Value =
                    serde_json::from_str(line).unwrap_or_else(|error| panic!("{name}: {error}"));
                let ids = line["input_ids"].as_array().unwrap_or_else(|| panic!("{name}: no input_ids"));
                ids.iter().map(|id| id.as_u64().unwrap_or(u64::MAX) as u16).collect()
            })
            .collect();
        let compared = compare(name, &checkpoint, &sequences);
        println!("{name}: {} sequences, {compared} logits bit-equal", sequences.len());
    }
}
