//! Word, position and type embeddings, LayerNorm, and the projection to the hidden size.

use core::array::from_fn;
use core::ops::Range;

use super::linear::{self, Output, QuantizedRows};
use super::{ROW_BLOCK, blocks_of_rows};
use crate::arena::{ArenaError, Carver, Space};
use crate::config::Config;
use crate::kernels::{Activation, KernelSet, Kernels};
use crate::model::Embeddings;
use crate::team::{MAX_WORKERS, Team, share_rows, take};

pub(crate) struct Scratch<'a> {
    workers: [Worker<'a>; MAX_WORKERS],
}

#[derive(Default)]
struct Worker<'a> {
    embedded: &'a mut [f32],
    quantized: QuantizedRows<'a>,
    panel: &'a mut [i32],
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
                panel: linear::take_panel(space),
            };
        }
        scratch
    }
}

/// Writes the encoder's input for the token `ids` into `hidden` (tokens x hidden size). All ids are
/// below the vocabulary size. `ends` holds the end of each sequence but the last.
pub(crate) fn run<T: Team>(
    team: &T,
    kernels: Kernels,
    config: &Config,
    embeddings: &Embeddings<'_>,
    (ids, ends): (&[u16], &[u16]),
    hidden: &mut [f32],
    scratch: &mut [u8],
) -> Result<(), ArenaError> {
    let mut carver = Carver::new(scratch);
    let mut scratch = Scratch::take(config, team.workers(), &mut carver);
    carver.finish()?;
    let embedding = Embedding { kernels: kernels.set(), config, embeddings, ids, ends };
    let (mut rest, mut used) = (hidden, 0);
    let mut parts = scratch.workers.each_mut().map(|worker| (Range::<usize>::default(), &mut [][..], worker));
    for (index, (rows, hidden, _)) in parts.iter_mut().enumerate() {
        *rows = share_rows(ids.len(), team.workers(), index);
        *hidden = take(&mut rest, rows.len() * config.hidden_size);
        used += usize::from(!Range::is_empty(rows));
    }
    team.for_each(&mut parts[..used], |(rows, hidden, worker)| embedding.rows(rows.clone(), hidden, worker));
    Ok(())
}

struct Embedding<'a> {
    kernels: &'a dyn KernelSet,
    config: &'a Config,
    embeddings: &'a Embeddings<'a>,
    ids: &'a [u16],
    ends: &'a [u16],
}

impl Embedding<'_> {
    fn rows(&self, rows: Range<usize>, hidden: &mut [f32], worker: &mut Worker<'_>) {
        let Some(projection) = &self.embeddings.projection else { return self.embed(rows, hidden) };
        let stride = self.config.hidden_size;
        for (rows, hidden) in blocks_of_rows(rows).zip(hidden.chunks_mut(ROW_BLOCK * stride)) {
            let count = rows.len();
            let embedded = &mut worker.embedded[..count * self.config.embedding_size];
            self.embed(rows, embedded);
            worker.quantized.quantize_checked(self.kernels, embedded, 0);
            let mut output = Output { rows: hidden, stride, activation: Activation::Identity };
            let input = &worker.quantized;
            linear::apply(
                self.kernels,
                projection,
                input,
                0..count,
                0..stride,
                worker.panel,
                &mut output,
                &[],
            );
        }
    }

    /// Writes the sum of the embeddings of each of `rows`, normalised, into `out`.
    fn embed(&self, rows: Range<usize>, out: &mut [f32]) {
        let (width, embeddings) = (self.config.embedding_size, self.embeddings);
        let token_type = &embeddings.types[..width];
        for (row, out) in rows.zip(out.chunks_exact_mut(width)) {
            let before = self.ends.iter().map(|end| usize::from(*end)).take_while(|end| *end <= row);
            let position = row - before.last().unwrap_or(0);
            let word = embeddings.word(usize::from(self.ids[row]));
            self.kernels.embed(word, embeddings.position(position), token_type, out);
        }
        self.kernels.layer_norm(out, embeddings.gamma, embeddings.beta, self.config.layer_norm_eps);
    }
}
