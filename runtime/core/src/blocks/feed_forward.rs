//! The feed-forward block: expand, GELU, contract, residual, LayerNorm, one block of rows at a
//! time.

use core::array::from_fn;

use super::linear::{self, Output, QuantizedRows};
use super::{ROW_BLOCK, blocks_of_rows};
use crate::arena::{ArenaError, Carver, Space};
use crate::config::Config;
use crate::kernels::{Activation, KernelSet, Kernels};
use crate::model::Layer;
use crate::team::{MAX_WORKERS, Team, share_rows, take};

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
    team: &T,
    kernels: Kernels,
    config: &Config,
    layer: &Layer<'_>,
    hidden: &mut [f32],
    scratch: &mut [u8],
) -> Result<(), ArenaError> {
    let kernels = kernels.set();
    let mut carver = Carver::new(scratch);
    let mut scratch = Scratch::take(config, team.workers(), &mut carver);
    carver.finish()?;
    let rows = hidden.len() / config.hidden_size;
    let (mut rest, mut used) = (hidden, 0);
    let mut parts = scratch.workers.each_mut().map(|worker| (&mut [][..], worker));
    for (index, (hidden, _)) in parts.iter_mut().enumerate() {
        let share = share_rows(rows, team.workers(), index);
        *hidden = take(&mut rest, share.len() * config.hidden_size);
        used += usize::from(!share.is_empty());
    }
    team.for_each(&mut parts[..used], |(hidden, worker)| {
        rows_of_worker(kernels, config, layer, hidden, worker)
    });
    Ok(())
}

fn rows_of_worker(
    kernels: &dyn KernelSet,
    config: &Config,
    layer: &Layer<'_>,
    hidden: &mut [f32],
    scratch: &mut Worker<'_>,
) {
    let (narrow, wide) = (config.hidden_size, config.intermediate_size);
    for hidden in hidden.chunks_mut(ROW_BLOCK * narrow) {
        let rows = 0..hidden.len() / narrow;
        scratch.input.quantize(kernels, hidden, 0);
        let intermediate = &mut scratch.intermediate[..rows.len() * wide];
        let mut output = Output { rows: intermediate, stride: wide, activation: Activation::Gelu };
        let (expand, input) = (&layer.intermediate, &scratch.input);
        linear::apply(
            kernels,
            expand,
            input,
            rows.clone(),
            0..wide,
            scratch.panel,
            &mut output,
            layer.output.panel(0),
        );
        scratch.quantized.quantize(kernels, intermediate, 0);
        let mut output = Output { rows: hidden, stride: narrow, activation: Activation::AddTo };
        let (contract, input) = (&layer.output, &scratch.quantized);
        linear::apply(
            kernels,
            contract,
            input,
            rows,
            0..narrow,
            scratch.panel,
            &mut output,
            layer.intermediate.panel(0),
        );
        let [gamma, beta] = layer.output_norm;
        kernels.layer_norm(hidden, gamma, beta, config.layer_norm_eps);
    }
}

/// Computes only the GEMMs of `rows` rows.
pub(crate) fn gemms(
    kernels: Kernels,
    config: &Config,
    layer: &Layer<'_>,
    rows: usize,
    scratch: &mut [u8],
) -> Result<(), ArenaError> {
    let mut carver = Carver::new(scratch);
    let mut scratch = Scratch::take(config, 1, &mut carver);
    carver.finish()?;
    let [worker, ..] = &mut scratch.workers;
    let layers = [(&layer.intermediate, &worker.input), (&layer.output, &worker.quantized)];
    for rows in blocks_of_rows(0..rows) {
        for (index, (linear, input)) in layers.into_iter().enumerate() {
            linear::multiply(
                kernels.set(),
                linear,
                input,
                rows.len(),
                worker.panel,
                layers[1 - index].0.panel(0),
            );
        }
    }
    Ok(())
}
