//! Word, position and type embeddings, LayerNorm, and the projection to the hidden size.

use super::ROW_BLOCK;
use super::linear::{self, Output, QuantizedRows};
use crate::arena::{ArenaError, Carver, Space};
use crate::config::Config;
use crate::kernels::{Activation, Kernels};
use crate::model::Embeddings;

pub(crate) struct Scratch<'a> {
    embedded: &'a mut [f32],
    quantized: QuantizedRows<'a>,
    panel: &'a mut [i32],
}

impl<'a> Scratch<'a> {
    pub(crate) fn take<S: Space<'a>>(config: &Config, space: &mut S) -> Self {
        let rows = if config.has_projection() { ROW_BLOCK } else { 0 };
        let names = ["quantized embeddings", "their scales"];
        Self {
            embedded: space.take("embeddings", rows, config.embedding_size),
            quantized: QuantizedRows::take(space, names, rows, config.embedding_size),
            panel: linear::take_panel(space),
        }
    }
}

/// Writes the encoder's input for `ids`, all of them below the vocabulary size, into `hidden`.
pub(crate) fn run(
    kernels: Kernels,
    config: &Config,
    embeddings: &Embeddings<'_>,
    ids: &[u16],
    hidden: &mut [f32],
    scratch: &mut [u8],
) -> Result<(), ArenaError> {
    let kernels = kernels.set();
    let mut carver = Carver::new(scratch);
    let mut scratch = Scratch::take(config, &mut carver);
    carver.finish()?;
    let width = config.embedding_size;
    let embed = |position: usize, ids: &[u16], out: &mut [f32]| {
        for ((id, position), out) in ids.iter().zip(position..).zip(out.chunks_exact_mut(width)) {
            let token_type = &embeddings.types[..width];
            kernels.embed(embeddings.word(usize::from(*id)), embeddings.position(position), token_type, out);
        }
        kernels.layer_norm(out, embeddings.gamma, embeddings.beta, config.layer_norm_eps);
    };
    let Some(projection) = &embeddings.projection else {
        embed(0, ids, hidden);
        return Ok(());
    };
    let stride = config.hidden_size;
    for (block, (ids, hidden)) in ids.chunks(ROW_BLOCK).zip(hidden.chunks_mut(ROW_BLOCK * stride)).enumerate()
    {
        let embedded = &mut scratch.embedded[..ids.len() * width];
        embed(block * ROW_BLOCK, ids, embedded);
        scratch.quantized.quantize(kernels, embedded, 0);
        let mut output = Output { rows: hidden, stride, activation: Activation::Identity };
        let (rows, columns) = (0..ids.len(), 0..stride);
        linear::apply(
            kernels,
            projection,
            &scratch.quantized,
            rows,
            columns,
            scratch.panel,
            &mut output,
            &[],
        );
    }
    Ok(())
}
