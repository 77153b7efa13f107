//! Word, position and type embeddings, LayerNorm, and the projection to the hidden size.

use core::array::from_fn;
use core::ops::Range;

use super::linear::QuantizedRows;
use super::{Context, ROW_BLOCK, blocks_of_rows};
use crate::arena::{ArenaError, Carver, Space};
use crate::config::Config;
use crate::kernels::{Activation, Norm};
use crate::model::Embeddings;
use crate::team::{FEWEST_ROWS, Items, MAX_WORKERS, Team, share_among};

pub(crate) struct Scratch<'a> {
    workers: [Worker<'a>; MAX_WORKERS],
}

#[derive(Default)]
struct Worker<'a> {
    embedded: &'a mut [f32],
    quantized: QuantizedRows<'a>,
}

impl<'a> Scratch<'a> {
    pub(crate) fn take<S: Space<'a>>(config: &Config, workers: usize, space: &mut S) -> Self {
        let rows = if config.has_projection() { ROW_BLOCK } else { 0 };
        let names = ["quantized embeddings", "their scales"];
        let mut scratch = Self { workers: from_fn(|_| Worker::default()) };
        for worker in scratch.workers.iter_mut().take(workers) {
            *worker = Worker {
                embedded: space.take("embeddings", rows, config.embedding_size),
                quantized: QuantizedRows::take(space, names, rows, config.embedding_size),
            };
        }
        scratch
    }
}

/// Writes the encoder's input for the token `ids` into `hidden` (tokens x hidden size). All ids are
/// below the vocabulary size. `ends` holds the end of each sequence but the last.
pub(crate) fn run<T: Team>(
    context: &Context<'_, T>,
    embeddings: &Embeddings<'_>,
    (ids, ends): (&[u16], &[u16]),
    hidden: &mut [f32],
    scratch: &mut [u8],
) -> Result<(), ArenaError> {
    let &Context { team, config, .. } = context;
    let mut carver = Carver::new(scratch);
    let mut scratch = Scratch::take(config, team.workers(), &mut carver);
    carver.finish()?;
    let embedding = Embedding { context, embeddings, ids, ends };
    let hidden = Items { elements: hidden, width: config.hidden_size };
    share_among(team, (ids.len(), FEWEST_ROWS), hidden, &mut scratch.workers, |rows, hidden, worker| {
        embedding.rows(rows, hidden.elements, worker);
    });
    Ok(())
}

struct Embedding<'a, T> {
    context: &'a Context<'a, T>,
    embeddings: &'a Embeddings<'a>,
    ids: &'a [u16],
    ends: &'a [u16],
}

impl<T> Embedding<'_, T> {
    fn rows(&self, rows: Range<usize>, hidden: &mut [f32], worker: &mut Worker<'_>) {
        let Some(projection) = &self.embeddings.projection else { return self.embed(rows, hidden) };
        let &Context { kernels, config, .. } = self.context;
        let stride = config.hidden_size;
        for (rows, hidden) in blocks_of_rows(rows).zip(hidden.chunks_mut(ROW_BLOCK * stride)) {
            let count = rows.len();
            let embedded = &mut worker.embedded[..count * config.embedding_size];
            self.embed(rows, embedded);
            worker.quantized.quantize_checked(kernels, embedded);
            let sums = bytemuck::cast_slice_mut(hidden);
            projection.multiply(kernels, worker.quantized.values(0..count), sums, &[]);
            kernels.requantize(
                sums,
                projection.scaling(worker.quantized.scales(0..count)),
                Activation::Identity,
                None,
            );
        }
    }

    /// Writes the sum of the embeddings of each of `rows`, normalised, into `out`.
    fn embed(&self, rows: Range<usize>, out: &mut [f32]) {
        let &Context { kernels, config, .. } = self.context;
        let (width, embeddings) = (config.embedding_size, self.embeddings);
        let token_type = &embeddings.types[..width];
        for (row, out) in rows.zip(out.chunks_exact_mut(width)) {
            let before = self.ends.iter().map(|end| usize::from(*end)).take_while(|end| *end <= row);
            let position = row - before.last().unwrap_or(0);
            let word = embeddings.word(usize::from(self.ids[row]));
            kernels.embed(word, embeddings.position(position), token_type, out);
        }
        let Embeddings { gamma, beta, .. } = *embeddings;
        kernels.layer_norm(out, Norm { gamma, beta, epsilon: config.layer_norm_eps });
    }
}
