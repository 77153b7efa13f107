//! Multi-head self-attention in int8, its output projection, residual and LayerNorm.
//!
//! Keys and values of all tokens are computed first and kept as int8, packed as GEMM weights. Queries follow a
//! block of rows at a time: scores, softmax, context and output projection of a block are finished before the
//! next begins, so nothing of size tokens x tokens ever exists.

use core::ops::Range;

use super::ROW_BLOCK;
use super::linear::{self, Output, QuantizedRows};
use crate::arena::{ArenaError, Carver, Space};
use crate::config::Config;
use crate::kernels::{Activation, KernelSet, Kernels, LANES, Operand};
use crate::model::Layer;

pub(crate) struct Scratch<'a> {
    input: QuantizedRows<'a>,
    /// [heads][tokens/16][head size/4][16][4]
    keys: &'a mut [i8],
    /// [heads][tokens, padded to 16]
    key_sums: &'a mut [i32],
    key_scales: &'a mut [f32],
    /// [heads][head size/16][tokens/4][16][4]
    values: &'a mut [i8],
    /// [heads][head size]
    value_sums: &'a mut [i32],
    /// [heads]
    value_scales: &'a mut [f32],
    /// One head's keys or values of a block of rows, or values of all rows: tokens x head size.
    head: &'a mut [f32],
    queries: QuantizedRows<'a>,
    /// Rows x tokens, padded to 16; then rows x head size, the context before its scale.
    scores: &'a mut [i32],
    /// Rows x tokens, padded to 4.
    probabilities: &'a mut [u8],
    /// One a row: first the factor of its scores, then the sum of its probabilities.
    factors: &'a mut [f32],
    context: &'a mut [f32],
    quantized_context: QuantizedRows<'a>,
    panel: &'a mut [i32],
}

impl<'a> Scratch<'a> {
    pub(crate) fn take<S: Space<'a>>(config: &Config, tokens: usize, space: &mut S) -> Self {
        let (hidden, heads, head_size) = (config.hidden_size, config.num_attention_heads, config.head_size());
        let (padded16, padded4) = (tokens.next_multiple_of(LANES), tokens.next_multiple_of(4));
        let rows = ROW_BLOCK;
        Self {
            input: QuantizedRows::take(space, ["quantized input", "its scales"], tokens, hidden),
            keys: space.take("keys", padded16, hidden),
            key_sums: space.take("sums of keys", padded16, heads),
            key_scales: space.take("scales of keys", padded16, heads),
            values: space.take("values", padded4, hidden),
            value_sums: space.take("sums of values", hidden, 1),
            value_scales: space.take("scales of values", heads, 1),
            head: space.take("one head in f32", tokens.max(rows), head_size),
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

/// Replaces rows `0..query_rows` of `hidden` (tokens x hidden size) by the block's output; every row serves as
/// key and value.
pub(crate) fn run(
    kernels: Kernels,
    config: &Config,
    layer: &Layer<'_>,
    hidden: &mut [f32],
    query_rows: usize,
    scratch: &mut [u8],
) -> Result<(), ArenaError> {
    let kernels = kernels.set();
    let tokens = hidden.len() / config.hidden_size;
    let mut carver = Carver::new(scratch);
    let scratch = Scratch::take(config, tokens, &mut carver);
    carver.finish()?;
    let mut attention = Attention { kernels, config, layer, tokens, scratch };
    attention.scratch.input.quantize(kernels, hidden, 0);
    for head in 0..config.num_attention_heads {
        attention.keys(head);
        attention.values(head);
    }
    for rows in blocks_of_rows(query_rows) {
        attention.queries(rows.clone());
        attention.output(rows, hidden);
    }
    Ok(())
}

fn blocks_of_rows(rows: usize) -> impl Iterator<Item = Range<usize>> {
    (0..rows).step_by(ROW_BLOCK).map(move |start| start..rows.min(start + ROW_BLOCK))
}

struct Attention<'a> {
    kernels: &'a dyn KernelSet,
    config: &'a Config,
    layer: &'a Layer<'a>,
    tokens: usize,
    scratch: Scratch<'a>,
}

impl Attention<'_> {
    fn keys(&mut self, head: usize) {
        let (head_size, padded) = (self.config.head_size(), self.tokens.next_multiple_of(LANES));
        let (columns, of_head) = (self.columns(head), head * padded..(head + 1) * padded);
        let scratch = &mut self.scratch;
        let packed = &mut scratch.keys[of_head.start * head_size..of_head.end * head_size];
        let sums = &mut scratch.key_sums[of_head.clone()];
        let scales = &mut scratch.key_scales[of_head];
        for rows in blocks_of_rows(self.tokens) {
            let keys = &mut scratch.head[..rows.len() * head_size];
            let first = rows.start;
            let mut output = Output { rows: keys, stride: head_size, activation: Activation::Identity };
            linear::apply(
                self.kernels,
                &self.layer.key,
                &scratch.input,
                rows,
                columns.clone(),
                scratch.panel,
                &mut output,
                self.layer.value.panel(columns.start),
            );
            self.kernels.pack_keys(keys, head_size, first, packed, sums, scales);
        }
    }

    fn values(&mut self, head: usize) {
        let (head_size, padded) = (self.config.head_size(), self.tokens.next_multiple_of(4));
        let columns = self.columns(head);
        let scratch = &mut self.scratch;
        let values = &mut scratch.head[..self.tokens * head_size];
        for rows in blocks_of_rows(self.tokens) {
            let rows_of_values = &mut values[rows.start * head_size..rows.end * head_size];
            let mut output =
                Output { rows: rows_of_values, stride: head_size, activation: Activation::Identity };
            linear::apply(
                self.kernels,
                &self.layer.value,
                &scratch.input,
                rows,
                columns.clone(),
                scratch.panel,
                &mut output,
                self.layer.key.panel(columns.end),
            );
        }
        let packed = &mut scratch.values[columns.start * padded..columns.end * padded];
        let sums = &mut scratch.value_sums[columns];
        scratch.value_scales[head] = self.kernels.pack_values(values, head_size, packed, sums);
    }

    /// Context of all heads for a block of query rows.
    fn queries(&mut self, rows: Range<usize>) {
        let (hidden, head_size) = (self.config.hidden_size, self.config.head_size());
        let padded16 = self.tokens.next_multiple_of(LANES);
        let padded4 = self.tokens.next_multiple_of(4);
        let score_scale = 1.0 / crate::math::sqrt(head_size as f32);
        let count = rows.len();
        for head in 0..self.config.num_attention_heads {
            let columns = self.columns(head);
            let scratch = &mut self.scratch;
            let queries = &mut scratch.head[..count * head_size];
            let mut output = Output { rows: queries, stride: head_size, activation: Activation::Identity };
            linear::apply(
                self.kernels,
                &self.layer.query,
                &scratch.input,
                rows.clone(),
                columns.clone(),
                scratch.panel,
                &mut output,
                self.layer.query.panel(columns.end),
            );
            scratch.queries.quantize(self.kernels, queries, 0);
            let of_head = head * padded16..(head + 1) * padded16;
            let scores = &mut scratch.scores[..count * padded16];
            self.kernels.gemm(
                Operand::Signed,
                scratch.queries.values(0..count),
                head_size,
                &scratch.keys[of_head.start * head_size..of_head.end * head_size],
                &scratch.key_sums[of_head.clone()],
                scores,
                &[],
            );
            let factors = &mut scratch.factors[..count];
            for (factor, scale) in factors.iter_mut().zip(scratch.queries.scales(0..count)) {
                *factor = scale * score_scale;
            }
            let probabilities = &mut scratch.probabilities[..count * padded4];
            let key_scales = &scratch.key_scales[of_head];
            self.kernels.softmax(scores, self.tokens, key_scales, factors, probabilities);
            let value_scale = scratch.value_scales[head];
            for factor in factors.iter_mut() {
                *factor = value_scale / *factor;
            }
            let sums = &mut scratch.scores[..count * head_size];
            self.kernels.gemm(
                Operand::Unsigned,
                probabilities,
                padded4,
                &scratch.values[columns.start * padded4..columns.end * padded4],
                &scratch.value_sums[columns.clone()],
                sums,
                &[],
            );
            let context = &mut scratch.context[..count * hidden];
            self.kernels.scale_rows(sums, head_size, factors, context, hidden, columns.start);
        }
    }

    /// Output projection, residual and LayerNorm of a block of rows.
    fn output(&mut self, rows: Range<usize>, hidden: &mut [f32]) {
        let (width, count) = (self.config.hidden_size, rows.len());
        let scratch = &mut self.scratch;
        scratch.quantized_context.quantize(self.kernels, &scratch.context[..count * width], 0);
        let hidden = &mut hidden[rows.start * width..rows.end * width];
        let mut output = Output { rows: hidden, stride: width, activation: Activation::AddTo };
        linear::apply(
            self.kernels,
            &self.layer.attention_output,
            &scratch.quantized_context,
            0..count,
            0..width,
            scratch.panel,
            &mut output,
            self.layer.intermediate.panel(0),
        );
        let [gamma, beta] = self.layer.attention_norm;
        self.kernels.layer_norm(hidden, gamma, beta, self.config.layer_norm_eps);
    }

    fn columns(&self, head: usize) -> Range<usize> {
        head * self.config.head_size()..(head + 1) * self.config.head_size()
    }
}
