//! The feed-forward block: expand, GELU, contract, residual, LayerNorm, a block of rows at a time.

use super::ROW_BLOCK;
use super::linear::{self, Output, QuantizedRows};
use crate::arena::{ArenaError, Carver, Space};
use crate::config::Config;
use crate::kernels::{Activation, Kernels};
use crate::model::Layer;

pub(crate) struct Scratch<'a> {
    input: QuantizedRows<'a>,
    intermediate: &'a mut [f32],
    quantized: QuantizedRows<'a>,
    panel: &'a mut [i32],
}

impl<'a> Scratch<'a> {
    pub(crate) fn take<S: Space<'a>>(config: &Config, space: &mut S) -> Self {
        let (rows, wide) = (ROW_BLOCK, config.intermediate_size);
        Self {
            input: QuantizedRows::take(space, ["quantized input", "its scales"], rows, config.hidden_size),
            intermediate: space.take("intermediate", rows, wide),
            quantized: QuantizedRows::take(space, ["quantized intermediate", "its scales"], rows, wide),
            panel: linear::take_panel(space),
        }
    }
}

/// Replaces each row of `hidden` by the block's output.
pub(crate) fn run(
    kernels: Kernels,
    config: &Config,
    layer: &Layer<'_>,
    hidden: &mut [f32],
    scratch: &mut [u8],
) -> Result<(), ArenaError> {
    let kernels = kernels.set();
    let mut carver = Carver::new(scratch);
    let mut scratch = Scratch::take(config, &mut carver);
    carver.finish()?;
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
    Ok(())
}
