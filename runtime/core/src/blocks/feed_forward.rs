//! The feed-forward block: expand, GELU, contract, residual, LayerNorm, one block of rows at a
//! time.

use core::array::from_fn;

use super::linear::QuantizedRows;
use super::{Context, ROW_BLOCK};
use crate::arena::{ArenaError, Carver, Space};
use crate::config::Config;
use crate::kernels::{Activation, Norm};
use crate::model::Layer;
use crate::team::{FEWEST_ROWS, Items, MAX_WORKERS, Team, share_among};

pub(crate) struct Scratch<'a> {
    workers: [Worker<'a>; MAX_WORKERS],
}

#[derive(Default)]
struct Worker<'a> {
    input: QuantizedRows<'a>,
    /// Sums of the first product, then of the second: rows x the greater number of outputs.
    sums: &'a mut [i32],
    intermediate: QuantizedRows<'a>,
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
                sums: space.take("sums", rows, wide.max(config.hidden_size)),
                intermediate: QuantizedRows::take(
                    space,
                    ["quantized intermediate", "its scales"],
                    rows,
                    wide,
                ),
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
    let Worker { input, sums, intermediate } = scratch;
    let (narrow, wide) = (config.hidden_size, config.intermediate_size);
    let [gamma, beta] = layer.output_norm;
    let norm = Norm { gamma, beta, epsilon: config.layer_norm_eps };
    for hidden in hidden.chunks_mut(ROW_BLOCK * narrow) {
        let rows = hidden.len() / narrow;
        input.quantize(kernels, hidden);
        let (expand, contract) = (&layer.intermediate, &layer.output);
        let expanded = &mut sums[..rows * wide];
        expand.multiply(kernels, input.values(0..rows), expanded, contract.panel(0));
        let (values, scales) = intermediate.first_mut(rows);
        let scaling = expand.scaling(input.scales(0..rows));
        kernels.requantize(expanded, scaling, Activation::Gelu, Some((values, scales)));
        let contracted = &mut sums[..rows * narrow];
        contract.multiply(kernels, intermediate.values(0..rows), contracted, expand.panel(0));
        kernels.add_norm(contracted, contract.scaling(intermediate.scales(0..rows)), hidden, norm);
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
    let [Worker { input, sums, intermediate }, ..] = &mut scratch.workers;
    let (expand, contract) = (&layer.intermediate, &layer.output);
    for rows in super::blocks_of_rows(0..rows) {
        let expanded = &mut sums[..rows.len() * config.intermediate_size];
        expand.multiply(kernels, input.values(0..rows.len()), expanded, contract.panel(0));
        let contracted = &mut sums[..rows.len() * config.hidden_size];
        contract.multiply(kernels, intermediate.values(0..rows.len()), contracted, expand.panel(0));
    }
    Ok(())
}
