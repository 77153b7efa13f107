//! The feed-forward block: expand, GELU, contract, residual, LayerNorm, one block of rows at a
//! time.

use core::array::from_fn;

use super::linear::{self, Operands, Output, QuantizedRows};
use super::{Context, ROW_BLOCK};
use crate::arena::{ArenaError, Carver, Space};
use crate::config::Config;
use crate::kernels::Activation;
use crate::model::Layer;
use crate::team::{FEWEST_ROWS, Items, MAX_WORKERS, Team, share_among};

pub(crate) struct Scratch<'a> {
    workers: [Worker<'a>; MAX_WORKERS],
}

#[derive(Default)]
struct Worker<'a> {
    input: QuantizedRows<'a>,
    intermediate: &'a mut [f32],
    quantized: QuantizedRows<'a>,
    panel: &'a mut [i32],
}

impl<'a> Scratch<'a> {
    pub(crate) fn take<S: Space<'a>>(config: &Config, workers: usize, space: &mut S) -> Self {
        let (rows, wide) = (ROW_BLOCK, config.intermediate_size);
        let mut scratch = Self { workers: from_fn(|_| Worker::default()) };
        for worker in scratch.workers.iter_mut().take(workers) {
            *worker = Worker {
                input: QuantizedRows::take(
                    space,
                    ["quantized input", "its scales"],
                    rows,
                    config.hidden_size,
                ),
                intermediate: space.take("intermediate", rows, wide),
                quantized: QuantizedRows::take(space, ["quantized intermediate", "its scales"], rows, wide),
                panel: linear::take_panel(space),
            };
        }
        scratch
    }
}

/// Replaces each row of `hidden` by the block's output.
pub(crate) fn run<T: Team>(
    context: &Context<'_, T>,
    layer: &Layer<'_>,
    hidden: &mut [f32],
    scratch: &mut [u8],
) -> Result<(), ArenaError> {
    let &Context { team, config, .. } = context;
    let mut carver = Carver::new(scratch);
    let mut scratch = Scratch::take(config, team.workers(), &mut carver);
    carver.finish()?;
    let rows = hidden.len() / config.hidden_size;
    let hidden = Items { elements: hidden, width: config.hidden_size };
    share_among(team, (rows, FEWEST_ROWS), hidden, &mut scratch.workers, |_, hidden, worker| {
        rows_of_worker(context, layer, hidden.elements, worker);
    });
    Ok(())
}

fn rows_of_worker<T>(
    context: &Context<'_, T>,
    layer: &Layer<'_>,
    hidden: &mut [f32],
    scratch: &mut Worker<'_>,
) {
    let &Context { kernels, config, .. } = context;
    let (narrow, wide) = (config.hidden_size, config.intermediate_size);
    for hidden in hidden.chunks_mut(ROW_BLOCK * narrow) {
        let rows = 0..hidden.len() / narrow;
        scratch.input.quantize(kernels, hidden, 0);
        let intermediate = &mut scratch.intermediate[..rows.len() * wide];
        let operands = Operands {
            linear: &layer.intermediate,
            input: &scratch.input,
            rows: rows.clone(),
            columns: 0..wide,
            next: layer.output.panel(0),
        };
        let mut output = Output { rows: intermediate, stride: wide, activation: Activation::Gelu };
        linear::apply(kernels, &operands, scratch.panel, &mut output);
        scratch.quantized.quantize(kernels, intermediate, 0);
        let operands = Operands {
            linear: &layer.output,
            input: &scratch.quantized,
            rows,
            columns: 0..narrow,
            next: layer.intermediate.panel(0),
        };
        let mut output = Output { rows: hidden, stride: narrow, activation: Activation::AddTo };
        linear::apply(kernels, &operands, scratch.panel, &mut output);
        let [gamma, beta] = layer.output_norm;
        kernels.layer_norm(hidden, gamma, beta, config.layer_norm_eps);
    }
}

/// Computes only the GEMMs of `rows` rows.
#[cfg(feature = "internals")]
pub(crate) fn gemms<T>(
    context: &Context<'_, T>,
    layer: &Layer<'_>,
    rows: usize,
    scratch: &mut [u8],
) -> Result<(), ArenaError> {
    let &Context { kernels, config, .. } = context;
    let mut carver = Carver::new(scratch);
    let mut scratch = Scratch::take(config, 1, &mut carver);
    carver.finish()?;
    let [worker, ..] = &mut scratch.workers;
    let layers = [(&layer.intermediate, &worker.input), (&layer.output, &worker.quantized)];
    for rows in super::blocks_of_rows(0..rows) {
        for (index, (linear, input)) in layers.into_iter().enumerate() {
            let next = layers[1 - index].0.panel(0);
            linear::multiply(kernels, linear, input, rows.len(), worker.panel, next);
        }
    }
    Ok(())
}
