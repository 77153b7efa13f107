//! The heads: a dense layer with GELU, then one output per label (for `[CLS]`) or one per token.

use super::linear::QuantizedRows;
use super::{Context, ROW_BLOCK};
use crate::arena::{ArenaError, Carver, Space};
use crate::config::{Config, HeadKind};
use crate::kernels::Activation;
use crate::model::Head;

pub(crate) struct Scratch<'a> {
    input: QuantizedRows<'a>,
    /// Sums of the dense layer, then its result as f32.
    dense: &'a mut [i32],
    quantized: QuantizedRows<'a>,
    /// Sums of the output layer, then logits as f32. Their number per row is padded to a multiple
    /// of sixteen columns.
    logits: &'a mut [i32],
}

impl<'a> Scratch<'a> {
    pub(crate) fn take<S: Space<'a>>(config: &Config, space: &mut S) -> Self {
        let (rows, width) = (rows(config), config.hidden_size);
        Self {
            input: QuantizedRows::take(space, ["quantized input", "its scales"], rows, width),
            dense: space.take("dense", rows, width),
            quantized: QuantizedRows::take(space, ["quantized dense", "its scales"], rows, width),
            logits: space.take("padded logits", rows, config.padded_labels()),
        }
    }
}

/// Returns the number of rows of `hidden` that the head reads at a time.
fn rows(config: &Config) -> usize {
    match config.head {
        HeadKind::Classification => 1,
        HeadKind::ReplacedTokenDetection => ROW_BLOCK,
    }
}

/// Computes `logits` from the first rows of `hidden`: one per label for each sequence, or one per
/// row.
pub(crate) fn run<T>(
    context: &Context<'_, T>,
    head: &Head<'_>,
    hidden: &[f32],
    logits: &mut [f32],
    scratch: &mut [u8],
) -> Result<(), ArenaError> {
    let &Context { kernels, config, .. } = context;
    let mut carver = Carver::new(scratch);
    let Scratch { mut input, dense, mut quantized, logits: padded_logits } =
        Scratch::take(config, &mut carver);
    carver.finish()?;
    let (width, padded) = (config.hidden_size, config.padded_labels());
    let hidden = &hidden[..logits.len() / config.num_labels * width];
    let logits = logits.chunks_mut(rows(config) * config.num_labels);
    for (hidden, logits) in hidden.chunks(rows(config) * width).zip(logits) {
        let rows = hidden.len() / width;
        input.quantize_checked(kernels, hidden);
        let dense = &mut dense[..rows * width];
        head.dense.multiply(kernels, input.values(0..rows), dense, head.output.weights);
        let (values, scales) = quantized.first_mut(rows);
        let scaling = head.dense.scaling(input.scales(0..rows));
        kernels.requantize(dense, scaling, Activation::Gelu, Some((values, scales)));
        quantized.check(bytemuck::cast_slice(dense));
        let padded_logits = &mut padded_logits[..rows * padded];
        head.output.multiply(kernels, quantized.values(0..rows), padded_logits, &[]);
        kernels.requantize(
            padded_logits,
            head.output.scaling(quantized.scales(0..rows)),
            Activation::Identity,
            None,
        );
        let padded_logits = bytemuck::cast_slice::<i32, f32>(padded_logits).chunks_exact(padded);
        for (logits, padded) in logits.chunks_exact_mut(config.num_labels).zip(padded_logits) {
            logits.copy_from_slice(&padded[..config.num_labels]);
        }
    }
    Ok(())
}
