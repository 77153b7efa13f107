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

use super::linear::{self, Output, QuantizedRows};
use super::{ROW_BLOCK, blocks_of_rows};
use crate::arena::{ArenaError, Capacity, Carver, Space};
use crate::config::Config;
use crate::kernels::{Activation, KernelSet, Kernels, LANES, Operand};
use crate::math::all_finite;
use crate::model::Layer;
use crate::team::{MAX_WORKERS, Team, share, share_rows, take};

pub(crate) struct Scratch<'a> {
    input: QuantizedRows<'a>,
    memory: Memory<'a>,
    workers: [Worker<'a>; MAX_WORKERS],
}

/// Keys and values, head after head. The part of a head holds one sequence after another.
struct Memory<'a> {
    /// Per sequence: [tokens/16][head size/4][16][4].
    keys: &'a mut [i8],
    /// Per sequence: [tokens, padded to a multiple of 16].
    key_sums: &'a mut [i32],
    key_scales: &'a mut [f32],
    /// Per sequence: [head size/16][tokens/4][16][4].
    values: &'a mut [i8],
    /// Per sequence: [head size].
    value_sums: &'a mut [i32],
    /// One per sequence.
    value_scales: &'a mut [f32],
}

/// Buffers of one worker.
#[derive(Default)]
struct Worker<'a> {
    /// Keys or values of one head for all tokens, or queries of a block of rows: tokens x head
    /// size.
    head: &'a mut [f32],
    queries: QuantizedRows<'a>,
    /// Rows x tokens, padded to a multiple of 16; then rows x head size, the context before its
    /// scale.
    scores: &'a mut [i32],
    /// Rows x tokens, padded to a multiple of 4.
    probabilities: &'a mut [u8],
    /// One per row: first the factor of its scores, then the sum of its probabilities, then the
    /// factor of its context.
    factors: &'a mut [f32],
    context: &'a mut [f32],
    quantized_context: QuantizedRows<'a>,
    panel: &'a mut [i32],
}

impl<'a> Scratch<'a> {
    pub(crate) fn take<S: Space<'a>>(config: &Config, run: Capacity, space: &mut S) -> Self {
        let (hidden, heads) = (config.hidden_size, config.num_attention_heads);
        let (padded16, padded4) = (run.padded(LANES), run.padded(4));
        let input = QuantizedRows::take(space, ["quantized input", "its scales"], run.tokens, hidden);
        let memory = Memory {
            keys: space.take("keys", padded16, hidden),
            key_sums: space.take("sums of keys", padded16, heads),
            key_scales: space.take("scales of keys", padded16, heads),
            values: space.take("values", padded4, hidden),
            value_sums: space.take("sums of values", hidden, run.sequences),
            value_scales: space.take("scales of values", heads, run.sequences),
        };
        let mut workers = from_fn(|_| Worker::default());
        for worker in workers.iter_mut().take(run.workers) {
            *worker = Worker::take(config, run, space);
        }
        Self { input, memory, workers }
    }
}

impl<'a> Worker<'a> {
    fn take<S: Space<'a>>(config: &Config, run: Capacity, space: &mut S) -> Self {
        let (hidden, head_size, rows) = (config.hidden_size, config.head_size(), ROW_BLOCK);
        let (padded16, padded4) = (run.tokens.next_multiple_of(LANES), run.tokens.next_multiple_of(4));
        Self {
            head: space.take("one head in f32", run.tokens.max(rows), head_size),
            queries: QuantizedRows::take(space, ["queries", "scales of queries"], rows, head_size),
            scores: space.take("scores", rows, padded16.max(head_size)),
            probabilities: space.take("probabilities", rows, padded4),
            factors: space.take("factors of rows", rows, 1),
            context: space.take("context", rows, hidden),
            quantized_context: QuantizedRows::take(space, ["quantized context", "its scales"], rows, hidden),
            panel: linear::take_panel(space),
        }
    }
}

/// Replaces the rows of `hidden` (tokens x hidden size) by the block's output. Every row serves as
/// key and value. `ends` holds the end of each sequence but the last. With `first_only`, only the
/// first row of each sequence gets an output, and these rows move to the beginning of `hidden`.
#[expect(clippy::too_many_arguments, reason = "a block takes its operands flat")]
pub(crate) fn run<T: Team>(
    team: &T,
    kernels: Kernels,
    config: &Config,
    layer: &Layer<'_>,
    hidden: &mut [f32],
    ends: &[u16],
    first_only: bool,
    scratch: &mut [u8],
) -> Result<(), ArenaError> {
    let kernels = kernels.set();
    let width = config.hidden_size;
    let (tokens, workers) = (hidden.len() / width, team.workers());
    let mut carver = Carver::new(scratch);
    let run = Capacity { tokens, sequences: ends.len() + 1, workers };
    let Scratch { mut input, mut memory, workers: mut own } = Scratch::take(config, run, &mut carver);
    carver.finish()?;

    input.quantize_shared(team, kernels, hidden);
    remember(team, kernels, config, layer, &input, ends, &mut memory, &mut own);
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
        Attention { kernels, config, layer, ends, first_only, input: &input, memory: &memory, run };
    let mut rest = &mut hidden[..rows * width];
    let mut parts = own.each_mut().map(|worker| (Range::<usize>::default(), &mut [][..], worker));
    let mut used = 0;
    for (index, (rows_of_part, hidden, _)) in parts.iter_mut().enumerate() {
        *rows_of_part = share_rows(rows, workers, index);
        *hidden = take(&mut rest, rows_of_part.len() * width);
        used += usize::from(!Range::is_empty(rows_of_part));
    }
    team.for_each(&mut parts[..used], |(rows, hidden, worker)| {
        for (block, hidden) in blocks_of_rows(rows.clone()).zip(hidden.chunks_mut(ROW_BLOCK * width)) {
            attention.queries(block, worker);
            attention.output(hidden, worker);
        }
    });
    Ok(())
}

/// Computes the keys and values of all tokens.
#[expect(clippy::too_many_arguments, reason = "a block takes its operands flat")]
fn remember<T: Team>(
    team: &T,
    kernels: &dyn KernelSet,
    config: &Config,
    layer: &Layer<'_>,
    input: &QuantizedRows<'_>,
    ends: &[u16],
    memory: &mut Memory<'_>,
    workers: &mut [Worker<'_>; MAX_WORKERS],
) {
    let heads = config.num_attention_heads;
    let [keys, values] = [memory.keys.len() / heads, memory.values.len() / heads];
    let [padded, value_sums, value_scales] =
        [memory.key_sums.len() / heads, memory.value_sums.len() / heads, memory.value_scales.len() / heads];
    let mut rest = Memory {
        keys: memory.keys,
        key_sums: memory.key_sums,
        key_scales: memory.key_scales,
        values: memory.values,
        value_sums: memory.value_sums,
        value_scales: memory.value_scales,
    };
    let mut parts = workers.each_mut().map(|worker| (Range::<usize>::default(), None, worker));
    let mut used = 0;
    for (index, (heads_of_part, part, _)) in parts.iter_mut().enumerate() {
        *heads_of_part = share(heads, team.workers(), index);
        let count = heads_of_part.len();
        *part = Some(Memory {
            keys: take(&mut rest.keys, count * keys),
            key_sums: take(&mut rest.key_sums, count * padded),
            key_scales: take(&mut rest.key_scales, count * padded),
            values: take(&mut rest.values, count * values),
            value_sums: take(&mut rest.value_sums, count * value_sums),
            value_scales: take(&mut rest.value_scales, count * value_scales),
        });
        used += usize::from(count > 0);
    }
    team.for_each(&mut parts[..used], |(heads, part, worker)| {
        let Some(part) = part else { return };
        let of_heads = part
            .keys
            .chunks_exact_mut(keys)
            .zip(part.key_sums.chunks_exact_mut(padded))
            .zip(part.key_scales.chunks_exact_mut(padded))
            .zip(part.values.chunks_exact_mut(values))
            .zip(part.value_sums.chunks_exact_mut(value_sums))
            .zip(part.value_scales.chunks_exact_mut(value_scales));
        for (head, (((((keys, key_sums), key_scales), values), value_sums), value_scales)) in
            heads.clone().zip(of_heads)
        {
            let one = Memory { keys, key_sums, key_scales, values, value_sums, value_scales };
            remember_head(kernels, config, layer, input, ends, head, one, worker);
        }
    });
}

/// Computes the keys and values of one head.
#[expect(clippy::too_many_arguments, reason = "a block takes its operands flat")]
fn remember_head(
    kernels: &dyn KernelSet,
    config: &Config,
    layer: &Layer<'_>,
    input: &QuantizedRows<'_>,
    ends: &[u16],
    head: usize,
    memory: Memory<'_>,
    worker: &mut Worker<'_>,
) {
    let size = config.head_size();
    let columns = head * size..(head + 1) * size;
    let tokens = input.rows();
    let values_next = layer.value.panel(columns.start);
    let keys_next = layer.key.panel(columns.end);
    for (linear, next) in [(&layer.key, values_next), (&layer.value, keys_next)] {
        let of_head = &mut worker.head[..tokens * size];
        for (rows, out) in blocks_of_rows(0..tokens).zip(of_head.chunks_mut(ROW_BLOCK * size)) {
            let mut output = Output { rows: out, stride: size, activation: Activation::Identity };
            linear::apply(kernels, linear, input, rows, columns.clone(), worker.panel, &mut output, next);
        }
        for sequence in sequences(ends, tokens, false) {
            let x = &of_head[sequence.queries.start * size..sequence.queries.end * size];
            if core::ptr::eq(linear, &layer.key) {
                let of_sequence = sequence.keys();
                kernels.pack_keys(
                    x,
                    size,
                    &mut memory.keys[of_sequence.start * size..of_sequence.end * size],
                    &mut memory.key_sums[of_sequence.clone()],
                    &mut memory.key_scales[of_sequence],
                );
            } else {
                let of_sequence = sequence.values();
                let packed = &mut memory.values[of_sequence.start * size..of_sequence.end * size];
                let sums = &mut memory.value_sums[sequence.index * size..(sequence.index + 1) * size];
                memory.value_scales[sequence.index] = kernels.pack_values(x, size, packed, sums);
            }
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

struct Attention<'a> {
    kernels: &'a dyn KernelSet,
    config: &'a Config,
    layer: &'a Layer<'a>,
    ends: &'a [u16],
    first_only: bool,
    input: &'a QuantizedRows<'a>,
    memory: &'a Memory<'a>,
    run: Capacity,
}

impl Attention<'_> {
    /// Computes the context of all heads for a block of query rows.
    fn queries(&self, rows: Range<usize>, worker: &mut Worker<'_>) {
        let size = self.config.head_size();
        for head in 0..self.config.num_attention_heads {
            let columns = head * size..(head + 1) * size;
            let queries = &mut worker.head[..rows.len() * size];
            let mut output = Output { rows: queries, stride: size, activation: Activation::Identity };
            let next = match columns.end {
                end if end < self.config.hidden_size => self.layer.query.panel(end),
                _ => self.layer.attention_output.panel(0),
            };
            linear::apply(
                self.kernels,
                &self.layer.query,
                self.input,
                rows.clone(),
                columns,
                worker.panel,
                &mut output,
                next,
            );
            worker.queries.quantize(self.kernels, queries, 0);
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
        let (hidden, size, heads) =
            (self.config.hidden_size, self.config.head_size(), self.config.num_attention_heads);
        let (count, memory) = (rows.len(), self.memory);
        let of_head = |len: usize| head * (len / heads);
        let keys = sequence.keys();
        let start = of_head(memory.keys.len());
        let packed_keys = &memory.keys[start + keys.start * size..start + keys.end * size];
        let start = of_head(memory.key_sums.len());
        let (key_sums, key_scales) = (
            &memory.key_sums[start + keys.start..start + keys.end],
            &memory.key_scales[start + keys.start..start + keys.end],
        );
        let values = sequence.values();
        let start = of_head(memory.values.len());
        let packed_values = &memory.values[start + values.start * size..start + values.end * size];
        let value = head * self.run.sequences + sequence.index;
        let (value_sums, value_scale) =
            (&memory.value_sums[value * size..(value + 1) * size], memory.value_scales[value]);

        let scores = &mut worker.scores[..count * keys.len()];
        let queries = worker.queries.values(rows.clone());
        self.kernels.gemm(Operand::Signed, queries, size, packed_keys, key_sums, scores, &[]);
        let score_scale = 1.0 / crate::math::sqrt(size as f32);
        let factors = &mut worker.factors[..count];
        for (factor, scale) in factors.iter_mut().zip(worker.queries.scales(rows.clone())) {
            *factor = scale * score_scale;
        }
        let probabilities = &mut worker.probabilities[..count * values.len()];
        self.kernels.softmax(scores, sequence.tokens, key_scales, factors, probabilities);
        for factor in factors.iter_mut() {
            *factor = value_scale / *factor;
        }
        let sums = &mut worker.scores[..count * size];
        self.kernels.gemm(
            Operand::Unsigned,
            probabilities,
            values.len(),
            packed_values,
            value_sums,
            sums,
            &[],
        );
        let context = &mut worker.context[rows.start * hidden..rows.end * hidden];
        self.kernels.scale_rows(sums, size, factors, context, hidden, head * size);
        // Integers cannot represent scores that overflow or numbers that are not finite. In these
        // cases the context is set to infinity.
        let greatest_key = key_scales[..sequence.tokens].iter().copied().fold(0.0, f32::max);
        let greatest_score = greatest_key * (127 * 127 * size) as f32 * score_scale;
        for (context, query_scale) in context.chunks_exact_mut(hidden).zip(worker.queries.scales(rows)) {
            if !(value_scale.is_finite() && (greatest_score * query_scale).is_finite()) {
                context[head * size] = f32::INFINITY;
            }
        }
    }

    /// Computes output projection, residual and LayerNorm of a block of rows.
    fn output(&self, hidden: &mut [f32], worker: &mut Worker<'_>) {
        let width = self.config.hidden_size;
        let count = hidden.len() / width;
        worker.quantized_context.quantize(self.kernels, &worker.context[..count * width], 0);
        let mut output = Output { rows: hidden, stride: width, activation: Activation::AddTo };
        linear::apply(
            self.kernels,
            &self.layer.attention_output,
            &worker.quantized_context,
            0..count,
            0..width,
            worker.panel,
            &mut output,
            self.layer.intermediate.panel(0),
        );
        let [gamma, beta] = self.layer.attention_norm;
        self.kernels.layer_norm(hidden, gamma, beta, self.config.layer_norm_eps);
    }
}
