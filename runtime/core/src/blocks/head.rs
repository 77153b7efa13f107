//! The heads: a dense layer with GELU, then one output per label (for `[CLS]`) or one per token.

use super::linear::{self, Operands, Output, QuantizedRows};
use super::{Context, ROW_BLOCK};
use crate::arena::{ArenaError, Carver, Space};
use crate::config::{Config, HeadKind};
use crate::kernels::Activation;
use crate::model::Head;

pub(crate) struct Scratch<'a> {
    input: QuantizedRows<'a>,
    dense: &'a mut [f32],
    /// Logits of a block of rows. Their number per row is padded to a multiple of sixteen columns.
    logits: &'a mut [f32],
    panel: &'a mut [i32],
}

impl<'a> Scratch<'a> {
    pub(crate) fn take<S: Space<'a>>(config: &Config, space: &mut S) -> Self {
        let (rows, width) = (rows(config), config.hidden_size);
        Self {
            input: QuantizedRows::take(space, ["quantized input", "its scales"], rows, width),
            dense: space.take("dense", rows, width),
            logits: space.take("padded logits", rows, config.padded_labels()),
            panel: linear::take_panel(space),
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
    let mut scratch = Scratch::take(config, &mut carver);
    carver.finish()?;
    let (width, padded) = (config.hidden_size, config.padded_labels());
    let hidden = &hidden[..logits.len() / config.num_labels * width];
    let logits = logits.chunks_mut(rows(config) * config.num_labels);
    for (hidden, logits) in hidden.chunks(rows(config) * width).zip(logits) {
        let rows = 0..hidden.len() / width;
        scratch.input.quantize_checked(kernels, hidden, 0);
        let dense = &mut scratch.dense[..hidden.len()];
        let input = &scratch.input;
        let operands =
            Operands { linear: &head.dense, input, rows: rows.clone(), columns: 0..width, next: &[] };
        let mut output = Output { rows: dense, stride: width, activation: Activation::Gelu };
        linear::apply(kernels, &operands, scratch.panel, &mut output);
        scratch.input.quantize_checked(kernels, dense, 0);
        let padded_logits = &mut scratch.logits[..rows.len() * padded];
        let input = &scratch.input;
        let operands = Operands { linear: &head.output, input, rows, columns: 0..padded, next: &[] };
        let mut output = Output { rows: padded_logits, stride: padded, activation: Activation::Identity };
        linear::apply(kernels, &operands, scratch.panel, &mut output);
        for (logits, padded) in logits.chunks_exact_mut(config.num_labels).zip(padded_logits.chunks(padded)) {
            logits.copy_from_slice(&padded[..config.num_labels]);
        }
    }
    Ok(())
}
