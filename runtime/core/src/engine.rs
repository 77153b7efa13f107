//! The direct engine: it calls the blocks in order, with no allocator and no operating system.

use core::fmt;

use crate::arena::{Capacity, Workspace};
use crate::blocks::{self, Context};
use crate::kernels::{KernelSet, Kernels};
#[cfg(feature = "internals")]
use crate::kernels::{Stopwatch, Timed};
use crate::model::Model;
use crate::phases;
use crate::run_error::RunError;
use crate::step::Step;
use crate::team::{SingleThread, Team, take};
use crate::verdict;

/// Runs a model in an arena that the caller lends.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use electra_core::{Engine, Kernels, Model, arena_bytes};
///
/// # let flash: &[u8] = &[];
/// # #[repr(align(64))] struct Arena([u8; 200_000]);
/// # let mut arena = Arena([0; 200_000]);
/// let model = Model::open(flash)?;
/// assert!(arena_bytes(model.config(), 32) <= arena.0.len());
/// let mut engine = Engine::new(&model, Kernels::detect(), &mut arena.0, 32)?;
/// let logits = engine.run(&[101, 7592, 102])?;
/// # let _ = logits;
/// # Ok(())
/// # }
/// ```
pub struct Engine<'a, 'm> {
    steps: Steps<'a, 'm>,
    arena: &'a mut [u8],
    max_tokens: usize,
}

impl<'a, 'm> Engine<'a, 'm> {
    /// Creates an engine that runs sequences of up to `max_tokens` tokens in `arena`.
    ///
    /// # Errors
    /// When `arena` is smaller than [`crate::arena_bytes`] (the error names that size) or not
    /// aligned to [`crate::ARENA_ALIGNMENT`] bytes, or when `max_tokens` is 0 or exceeds the
    /// model's positions.
    pub fn new(
        model: &'a Model<'m>,
        kernels: Kernels,
        arena: &'a mut [u8],
        max_tokens: usize,
    ) -> Result<Self, RunError> {
        let positions = model.config().max_position_embeddings;
        if max_tokens == 0 || max_tokens > positions {
            return Err(RunError::Length { tokens: max_tokens, max: positions });
        }
        phases::check(model.config(), max_tokens.into(), arena)?;
        Ok(Self { steps: Steps { model, kernels, team: &SingleThread }, arena, max_tokens })
    }

    /// Runs one sequence, `[CLS]` and `[SEP]` included, and returns its logits: one per label, or
    /// one per token.
    ///
    /// # Errors
    /// When there are no ids or more than fit, when an id is beyond the vocabulary, or when a logit
    /// is not finite.
    pub fn run(&mut self, ids: &[u16]) -> Result<&[f32], RunError> {
        let run = self.steps.begin(&[ids], self.max_tokens.into(), self.arena)?;
        for step in self.steps.all() {
            self.steps.run(step, run, self.arena)?;
        }
        verdict::finite(self.steps.logits(run, self.arena)?)
    }
}

impl fmt::Debug for Engine<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("config", self.steps.model.config())
            .field("kernels", &self.steps.kernels)
            .field("max_tokens", &self.max_tokens)
            .finish_non_exhaustive()
    }
}

/// The steps of a run over an arena that holds its ids, for an engine that schedules them itself.
#[derive(Clone, Copy)]
#[expect(clippy::exhaustive_structs, reason = "engines make it")]
pub struct Steps<'a, 'm, T = SingleThread> {
    /// The model whose weights are read in place.
    pub model: &'a Model<'m>,
    /// The kernels that compute the steps.
    pub kernels: Kernels,
    /// The workers that share each step.
    pub team: &'a T,
}

impl<T: Team> Steps<'_, '_, T> {
    /// Returns all steps of a run, in order.
    pub fn all(&self) -> impl Iterator<Item = Step> + use<T> {
        Step::all(self.model.config().num_hidden_layers)
    }

    /// Checks `sequences` and copies their ids to the place in `arena` where the steps expect them.
    /// Returns the size of the run, which is within `capacity`. The arena was made for that
    /// capacity.
    ///
    /// # Errors
    /// When there are no sequences or more than fit, when one has no ids, when together they have
    /// more tokens than fit, when an id is beyond the vocabulary, or when `arena` is too small or
    /// misaligned.
    pub fn begin(
        &self,
        sequences: &[&[u16]],
        capacity: Capacity,
        arena: &mut [u8],
    ) -> Result<RunSize, RunError> {
        let max = capacity.tokens;
        let tokens = sequences.iter().map(|ids| ids.len()).sum();
        if sequences.is_empty() || sequences.len() > capacity.sequences {
            return Err(RunError::Sequences { found: sequences.len(), max: capacity.sequences });
        }
        if tokens > max || sequences.iter().any(|ids| ids.is_empty()) {
            return Err(RunError::Length { tokens, max });
        }
        let config = self.model.config();
        let run = RunSize { tokens, sequences: sequences.len() };
        let workspace = Workspace::carve(config, self.capacity(run), arena)?;
        let (mut end, mut rest, mut ends) = (0, workspace.ids, workspace.ends.iter_mut());
        for sequence in sequences {
            if let Some(position) = sequence.iter().position(|id| usize::from(*id) >= config.vocab_size) {
                let (id, vocab_size) = (sequence[position], config.vocab_size);
                return Err(RunError::Token { position, id, vocab_size });
            }
            take(&mut rest, sequence.len()).copy_from_slice(sequence);
            end += sequence.len();
            if let Some(to) = ends.next() {
                // A run has no more tokens than the model has positions, which are at most 65,535.
                *to = end as u16;
            }
        }
        Ok(run)
    }

    /// Runs one step.
    ///
    /// # Errors
    /// When `arena` is too small for the run or misaligned, or when the model has no layer of the
    /// step's index.
    pub fn run(&self, step: Step, run: RunSize, arena: &mut [u8]) -> Result<(), RunError> {
        self.run_with(self.kernels.set(), step, run, arena)
    }

    /// Runs one step and reports the duration of each call of a kernel to `watch` (feature
    /// `internals`). The team has one worker.
    ///
    /// # Errors
    /// As [`Steps::run`].
    #[cfg(feature = "internals")]
    pub fn run_timed(
        &self,
        step: Step,
        run: RunSize,
        arena: &mut [u8],
        watch: &dyn Stopwatch,
    ) -> Result<(), RunError> {
        let Self { model, kernels, .. } = *self;
        let kernels = Timed { set: kernels.set(), watch };
        Steps { model, kernels: self.kernels, team: &SingleThread }.run_with(&kernels, step, run, arena)
    }

    fn run_with(
        &self,
        kernels: &dyn KernelSet,
        step: Step,
        run: RunSize,
        arena: &mut [u8],
    ) -> Result<(), RunError> {
        let model = self.model;
        let config = model.config();
        let context = Context { team: self.team, kernels, config };
        let Workspace { ids, ends, hidden, logits, scratch } =
            Workspace::carve(config, self.capacity(run), arena)?;
        match step {
            Step::Embedding => {
                blocks::embedding::run(&context, model.embeddings(), (ids, ends), hidden, scratch)?;
            }
            Step::Attention(index) => {
                let first_only = config.reads_only_first_row(index);
                blocks::attention::run(&context, &model.layer(index)?, hidden, ends, first_only, scratch)?;
            }
            Step::FeedForward(index) => {
                let rows = if config.reads_only_first_row(index) { run.sequences } else { run.tokens };
                let hidden = &mut hidden[..rows * config.hidden_size];
                blocks::feed_forward::run(&context, &model.layer(index)?, hidden, scratch)?;
            }
            Step::Head => blocks::head::run(&context, model.head(), hidden, logits, scratch)?,
        }
        Ok(())
    }

    /// Returns the logits that [`Step::Head`] left in the arena, sequence after sequence. They are
    /// not checked; [`verdict::finite`] does that for each sequence.
    ///
    /// # Errors
    /// When `arena` is too small for the run or misaligned.
    pub fn logits<'b>(&self, run: RunSize, arena: &'b mut [u8]) -> Result<&'b [f32], RunError> {
        Ok(Workspace::carve(self.model.config(), self.capacity(run), arena)?.logits)
    }

    /// Computes only the two GEMMs of a layer's feed-forward block (feature `internals`). They are
    /// the GEMMs of a run of `tokens` tokens, over the bytes that the arena happens to hold.
    /// Returns the number of multiply-accumulates.
    ///
    /// # Errors
    /// When the arena is too small for a run of `tokens` tokens, or when the model has no layer
    /// `layer`.
    #[cfg(feature = "internals")]
    pub fn feed_forward_gemms(&self, layer: usize, tokens: usize, arena: &mut [u8]) -> Result<u64, RunError> {
        let config = self.model.config();
        let run = RunSize { tokens, sequences: 1 };
        let Workspace { scratch, .. } = Workspace::carve(config, self.capacity(run), arena)?;
        let rows = if config.reads_only_first_row(layer) { run.sequences } else { tokens };
        let context = Context { team: &SingleThread, kernels: self.kernels.set(), config };
        blocks::feed_forward::gemms(&context, &self.model.layer(layer)?, rows, scratch)?;
        Ok(2 * (rows * config.hidden_size * config.intermediate_size) as u64)
    }

    fn capacity(&self, run: RunSize) -> Capacity {
        Capacity { tokens: run.tokens, sequences: run.sequences, workers: self.team.workers() }
    }
}

impl<T: Team> fmt::Debug for Steps<'_, '_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Steps")
            .field("config", self.model.config())
            .field("kernels", &self.kernels)
            .field("workers", &self.team.workers())
            .finish()
    }
}

/// The size of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunSize {
    tokens: usize,
    sequences: usize,
}
