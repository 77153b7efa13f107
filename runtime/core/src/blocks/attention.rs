//! Multi-head self-attention in int8, its output projection, residual and LayerNorm.
//!
//! Keys and values of all tokens are computed first and kept as int8, packed as GEMM weights.
//! Queries follow, one block of rows at a time: scores, softmax, context and output projection of a
//! block are finished before the next block begins. No buffer of size tokens x tokens ever exists.
//!
//! Workers share the keys and values by heads and the queries by rows. Where several sequences run
//! together, their rows share every weight matrix, but each sequence attends only to its own
//! tokens.

use core::array::from_fn;
use core::ops::Range;

use bytemuck::Pod;

use super::linear::QuantizedRows;
use super::{Context, ROW_BLOCK, blocks_of_rows};
use crate::arena::{ArenaError, Capacity, Carver, Space};
use crate::config::Config;
use crate::kernels::{Activation, LANES, Norm, Operand, SCORE_UNITS};
use crate::math::{all_finite, greatest};
use crate::model::Layer;
use crate::team::{Divisible, FEWEST_ROWS, Items, MAX_WORKERS, Team, share_among};

pub(crate) struct Scratch<'a> {
    input: QuantizedRows<'a>,
    keys_values: KeysValues<'a>,
    workers: [Worker<'a>; MAX_WORKERS],
}

/// Packed keys and values. The items of each buffer are attention heads; the part of a head holds
/// one sequence after another.
struct KeysValues<'a> {
    /// Per sequence: [tokens/16][head size/4][16][4].
    keys: Items<'a, i8>,
    /// Per sequence: [tokens, padded to a multiple of 16].
    key_sums: Items<'a, i32>,
    key_scales: Items<'a, f32>,
    /// Per sequence: [head size/16][tokens/4][16][4].
    values: Items<'a, i8>,
    /// Per sequence: [head size].
    value_sums: Items<'a, i32>,
    /// Per sequence: the scale of the values and the greatest scale of a key.
    ranges: Items<'a, [f32; 2]>,
}

impl KeysValues<'_> {
    fn reborrow(&mut self) -> KeysValues<'_> {
        KeysValues {
            keys: self.keys.reborrow(),
            key_sums: self.key_sums.reborrow(),
            key_scales: self.key_scales.reborrow(),
            values: self.values.reborrow(),
            value_sums: self.value_sums.reborrow(),
            ranges: self.ranges.reborrow(),
        }
    }
}

impl Divisible for KeysValues<'_> {
    fn split_off_first(&mut self, heads: usize) -> Self {
        Self {
            keys: self.keys.split_off_first(heads),
            key_sums: self.key_sums.split_off_first(heads),
            key_scales: self.key_scales.split_off_first(heads),
            values: self.values.split_off_first(heads),
            value_sums: self.value_sums.split_off_first(heads),
            ranges: self.ranges.split_off_first(heads),
        }
    }
}

/// Buffers of one worker.
#[derive(Default)]
struct Worker<'a> {
    /// Sums of the values or queries of one head, tokens x head size, then their f32; or scales and
    /// int8 of its keys.
    head: &'a mut [i32],
    queries: QuantizedRows<'a>,
    /// Rows x tokens, padded to a multiple of 16; before that the sums of keys and after it the
    /// context before its scale, rows x head size.
    scores: &'a mut [i32],
    /// Rows x tokens, padded to a multiple of 4.
    probabilities: &'a mut [u8],
    /// One per row: first the factor of its scores, then the sum of its probabilities, then the
    /// factor of its context.
    factors: &'a mut [f32],
    /// Context of all heads as f32, then the sums of the output layer: rows x hidden size.
    context: &'a mut [i32],
    quantized_context: QuantizedRows<'a>,
}

impl<'a> Scratch<'a> {
    pub(crate) fn take<S: Space<'a>>(config: &Config, run: Capacity, space: &mut S) -> Self {
        let (hidden, heads, head_size) = (config.hidden_size, config.num_attention_heads, config.head_size());
        let (padded16, padded4) = (run.padded(LANES), run.padded(4));
        let input = QuantizedRows::take(space, ["quantized input", "its scales"], run.tokens, hidden);
        let keys_values = KeysValues {
            keys: take_heads(space, "keys", heads, padded16.saturating_mul(head_size)),
            key_sums: take_heads(space, "sums of keys", heads, padded16),
            key_scales: take_heads(space, "scales of keys", heads, padded16),
            values: take_heads(space, "values", heads, padded4.saturating_mul(head_size)),
            value_sums: take_heads(space, "sums of values", heads, head_size.saturating_mul(run.sequences)),
            ranges: take_heads(space, "ranges of keys and values", heads, run.sequences),
        };
        let mut workers = from_fn(|_| Worker::default());
        for worker in workers.iter_mut().take(run.workers) {
            *worker = Worker::take(config, run, space);
        }
        Self { input, keys_values, workers }
    }
}

fn take_heads<'a, E: Pod, S: Space<'a>>(
    space: &mut S,
    name: &'static str,
    heads: usize,
    width: usize,
) -> Items<'a, E> {
    Items { elements: space.take(name, heads, width), width }
}

impl<'a> Worker<'a> {
    fn take<S: Space<'a>>(config: &Config, run: Capacity, space: &mut S) -> Self {
        let (hidden, head_size, rows) = (config.hidden_size, config.head_size(), ROW_BLOCK);
        let (padded16, padded4) = (run.tokens.next_multiple_of(LANES), run.tokens.next_multiple_of(4));
        Self {
            head: space.take("one head", run.tokens.max(rows), head_size),
            queries: QuantizedRows::take(space, ["queries", "scales of queries"], rows, head_size),
            scores: space.take("scores", rows, padded16.max(head_size)),
            probabilities: space.take("probabilities", rows, padded4),
            factors: space.take("factors of rows", rows, 1),
            context: space.take("context", rows, hidden),
            quantized_context: QuantizedRows::take(space, ["quantized context", "its scales"], rows, hidden),
        }
    }
}

/// Replaces the rows of `hidden` (tokens x hidden size) by the block's output. Every row serves as
/// key and value. `ends` holds the end of each sequence but the last. With `first_only`, only the
/// first row of each sequence gets an output, and these rows move to the beginning of `hidden`.
pub(crate) fn run<T: Team>(
    context: &Context<'_, T>,
    layer: &Layer<'_>,
    hidden: &mut [f32],
    ends: &[u16],
    first_only: bool,
    scratch: &mut [u8],
) -> Result<(), ArenaError> {
    let &Context { team, kernels, config } = context;
    let width = config.hidden_size;
    let tokens = hidden.len() / width;
    let mut carver = Carver::new(scratch);
    let run = Capacity { tokens, sequences: ends.len() + 1, workers: team.workers() };
    let Scratch { mut input, mut keys_values, mut workers } = Scratch::take(config, run, &mut carver);
    carver.finish()?;

    input.quantize_shared(team, kernels, hidden);
    let memory = Memory { context, layer, input: &input, ends };
    let heads = config.num_attention_heads;
    share_among(team, (heads, 1), keys_values.reborrow(), &mut workers, |heads, mut part, worker| {
        for head in heads {
            memory.fill(head, &mut part.split_off_first(1), worker);
        }
    });
    let mut rows = tokens;
    if first_only {
        rows = run.sequences;
        for (row, sequence) in sequences(ends, tokens, true).enumerate() {
            let (first, end) = (sequence.first * width, (sequence.first + sequence.tokens) * width);
            // No later step reads the other rows, so a number in them that is not finite is
            // recorded in the first row.
            if !all_finite(&hidden[first..end]) {
                hidden[first] = f32::NAN;
            }
            hidden.copy_within(sequence.first * width..(sequence.first + 1) * width, row * width);
            input.copy_row(sequence.first, row);
        }
    }
    let attention =
        Attention { context, layer, ends, first_only, input: &input, keys_values: &keys_values, run };
    let hidden = Items { elements: &mut hidden[..rows * width], width };
    share_among(team, (rows, FEWEST_ROWS), hidden, &mut workers, |rows, hidden, worker| {
        for (block, hidden) in blocks_of_rows(rows).zip(hidden.elements.chunks_mut(ROW_BLOCK * width)) {
            attention.queries(block, worker);
            attention.output(hidden, worker);
        }
    });
    Ok(())
}

/// Computes keys and values.
struct Memory<'a, T> {
    context: &'a Context<'a, T>,
    layer: &'a Layer<'a>,
    input: &'a QuantizedRows<'a>,
    ends: &'a [u16],
}

impl<T> Memory<'_, T> {
    /// Computes the keys and values of one head into `out`.
    fn fill(&self, head: usize, out: &mut KeysValues<'_>, worker: &mut Worker<'_>) {
        let &Context { kernels, config, .. } = self.context;
        let (layer, size) = (self.layer, config.head_size());
        let columns = head * size..(head + 1) * size;
        let (key, value) = (layer.key.columns(columns.clone()), layer.value.columns(columns.clone()));
        let tokens = self.input.rows();
        let Worker { head: of_head, scores, .. } = worker;

        // Each key is quantized by itself as soon as it is computed.
        let (scales, rest) = of_head.split_at_mut(tokens);
        let scales: &mut [f32] = bytemuck::cast_slice_mut(scales);
        let keys: &mut [u8] = &mut bytemuck::cast_slice_mut(rest)[..tokens * size];
        for rows in blocks_of_rows(0..tokens) {
            let sums = &mut scores[..rows.len() * size];
            key.multiply(kernels, self.input.values(rows.clone()), sums, value.weights);
            let scaling = key.scaling(self.input.scales(rows.clone()));
            let keys = &mut keys[rows.start * size..rows.end * size];
            kernels.requantize(sums, scaling, Activation::Identity, Some((keys, &mut scales[rows])));
        }
        for sequence in sequences(self.ends, tokens, false) {
            let (rows, of_sequence) = (sequence.queries.clone(), sequence.keys());
            let packed = &mut out.keys.elements[of_sequence.start * size..of_sequence.end * size];
            let sums = &mut out.key_sums.elements[of_sequence.clone()];
            kernels.pack_keys(&keys[rows.start * size..rows.end * size], size, packed, sums);
            let scales = &scales[rows];
            let (real, padding) = out.key_scales.elements[of_sequence].split_at_mut(scales.len());
            real.copy_from_slice(scales);
            padding.fill(0.0);
            out.ranges.elements[sequence.index][1] = greatest(scales);
        }

        // All values of a sequence share one scale, so all of them are computed first.
        let next = layer.key.panel(columns.end);
        let of_head = &mut of_head[..tokens * size];
        for (rows, sums) in blocks_of_rows(0..tokens).zip(of_head.chunks_mut(ROW_BLOCK * size)) {
            value.multiply(kernels, self.input.values(rows.clone()), sums, next);
            kernels.requantize(sums, value.scaling(self.input.scales(rows)), Activation::Identity, None);
        }
        let of_head: &[f32] = bytemuck::cast_slice(of_head);
        for sequence in sequences(self.ends, tokens, false) {
            let (rows, of_sequence) = (sequence.queries.clone(), sequence.values());
            let packed = &mut out.values.elements[of_sequence.start * size..of_sequence.end * size];
            let sums = &mut out.value_sums.elements[sequence.index * size..(sequence.index + 1) * size];
            let values = &of_head[rows.start * size..rows.end * size];
            out.ranges.elements[sequence.index][0] = kernels.pack_values(values, size, packed, sums);
        }
    }
}

/// One of the sequences that run together.
struct Sequence {
    index: usize,
    /// Its first token.
    first: usize,
    tokens: usize,
    /// Rows of its queries.
    queries: Range<usize>,
    /// Tokens before its own: in the keys, where each sequence is padded to a multiple of 16, and
    /// in the values, where it is padded to a multiple of 4.
    before: [usize; 2],
}

impl Sequence {
    fn keys(&self) -> Range<usize> {
        self.before[0]..self.before[0] + self.tokens.next_multiple_of(LANES)
    }

    fn values(&self) -> Range<usize> {
        self.before[1]..self.before[1] + self.tokens.next_multiple_of(4)
    }
}

fn sequences(ends: &[u16], tokens: usize, first_only: bool) -> impl Iterator<Item = Sequence> {
    let (mut first, mut before) = (0, [0; 2]);
    let ends = ends.iter().map(|end| usize::from(*end)).chain(core::iter::once(tokens));
    ends.enumerate().map(move |(index, end)| {
        let tokens = end - first;
        let queries = if first_only { index..index + 1 } else { first..first + tokens };
        let sequence = Sequence { index, first, tokens, queries, before };
        first += tokens;
        before = [sequence.keys().end, sequence.values().end];
        sequence
    })
}

/// Computes the output of a block of rows.
struct Attention<'a, T> {
    context: &'a Context<'a, T>,
    layer: &'a Layer<'a>,
    ends: &'a [u16],
    first_only: bool,
    input: &'a QuantizedRows<'a>,
    keys_values: &'a KeysValues<'a>,
    run: Capacity,
}

impl<T> Attention<'_, T> {
    /// Computes the context of all heads for a block of query rows.
    fn queries(&self, rows: Range<usize>, worker: &mut Worker<'_>) {
        let &Context { kernels, config, .. } = self.context;
        let size = config.head_size();
        for head in 0..config.num_attention_heads {
            let columns = head * size..(head + 1) * size;
            let next = match columns.end {
                end if end < config.hidden_size => self.layer.query.panel(end),
                _ => self.layer.attention_output.panel(0),
            };
            let query = self.layer.query.columns(columns);
            let sums = &mut worker.head[..rows.len() * size];
            query.multiply(kernels, self.input.values(rows.clone()), sums, next);
            let (queries, scales) = worker.queries.first_mut(rows.len());
            let scaling = query.scaling(self.input.scales(rows.clone()));
            kernels.requantize(sums, scaling, Activation::Identity, Some((queries, scales)));
            for sequence in sequences(self.ends, self.run.tokens, self.first_only) {
                let common = sequence.queries.start.max(rows.start)..sequence.queries.end.min(rows.end);
                if !common.is_empty() {
                    self.attend(head, &sequence, common.start - rows.start..common.end - rows.start, worker);
                }
            }
        }
    }

    /// Computes the context of one head for `rows` of the block, whose queries belong to
    /// `sequence`.
    fn attend(&self, head: usize, sequence: &Sequence, rows: Range<usize>, worker: &mut Worker<'_>) {
        let &Context { kernels, config, .. } = self.context;
        let (hidden, size) = (config.hidden_size, config.head_size());
        let (count, keys_values) = (rows.len(), self.keys_values);
        let keys = sequence.keys();
        let packed_keys = keys_values.keys.part(head, keys.start * size..keys.end * size);
        let key_sums = keys_values.key_sums.part(head, keys.clone());
        let key_scales = keys_values.key_scales.part(head, keys.clone());
        let values = sequence.values();
        let packed_values = keys_values.values.part(head, values.start * size..values.end * size);
        let of_sequence = sequence.index * size..(sequence.index + 1) * size;
        let value_sums = keys_values.value_sums.part(head, of_sequence);
        let [value_scale, greatest_key] =
            keys_values.ranges.elements[head * self.run.sequences + sequence.index];

        let scores = &mut worker.scores[..count * keys.len()];
        let queries = worker.queries.values(rows.clone());
        kernels.gemm(Operand::Signed, queries, size, packed_keys, key_sums, scores, &[]);
        let score_scale = SCORE_UNITS / crate::math::sqrt(size as f32);
        let factors = &mut worker.factors[..count];
        for (factor, scale) in factors.iter_mut().zip(worker.queries.scales(rows.clone())) {
            *factor = scale * score_scale;
        }
        let probabilities = &mut worker.probabilities[..count * values.len()];
        kernels.softmax(scores, sequence.tokens, key_scales, factors, probabilities);
        for factor in factors.iter_mut() {
            *factor = value_scale / *factor;
        }
        let sums = &mut worker.scores[..count * size];
        kernels.gemm(Operand::Unsigned, probabilities, values.len(), packed_values, value_sums, sums, &[]);
        let context = &mut worker.context[rows.start * hidden..rows.end * hidden];
        let context: &mut [f32] = bytemuck::cast_slice_mut(context);
        kernels.scale_rows(sums, size, factors, context, hidden, head * size);
        // Integers cannot represent scores that overflow or numbers that are not finite. In these
        // cases the context is set to infinity.
        let greatest_score = greatest_key * (127 * 127 * size) as f32 * score_scale;
        for (context, query_scale) in context.chunks_exact_mut(hidden).zip(worker.queries.scales(rows)) {
            if !(value_scale.is_finite() && (greatest_score * query_scale).is_finite()) {
                context[head * size] = f32::INFINITY;
            }
        }
    }

    /// Computes output projection, residual and LayerNorm of a block of rows.
    fn output(&self, hidden: &mut [f32], worker: &mut Worker<'_>) {
        let &Context { kernels, config, .. } = self.context;
        let width = config.hidden_size;
        let count = hidden.len() / width;
        let Worker { context, quantized_context, .. } = worker;
        let sums = &mut context[..count * width];
        quantized_context.quantize(kernels, bytemuck::cast_slice(sums));
        let linear = &self.layer.attention_output;
        let next = self.layer.intermediate.panel(0);
        linear.multiply(kernels, quantized_context.values(0..count), sums, next);
        let [gamma, beta] = self.layer.attention_norm;
        let norm = Norm { gamma, beta, epsilon: config.layer_norm_eps };
        kernels.add_norm(sums, linear.scaling(quantized_context.scales(0..count)), hidden, norm);
    }
}
