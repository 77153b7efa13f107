//! The direct engine: it calls the blocks in order, with no allocator and no operating system.

use core::fmt;

use crate::arena::{self, ArenaError, Capacity, Workspace};
use crate::blocks;
use crate::config::HeadKind;
use crate::kernels::Kernels;
use crate::model::{Model, ModelError};
use crate::team::{Alone, Team};
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
            return Err(RunError::Length { tokens: max_tokens, most: positions });
        }
        arena::check(model.config(), max_tokens.into(), arena)?;
        Ok(Self { steps: Steps { model, kernels, team: &Alone }, arena, max_tokens })
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

/// One step of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// From token ids to the encoder's input.
    Embedding,
    /// Self-attention of this layer.
    Attention(usize),
    /// The feed-forward block of this layer.
    FeedForward(usize),
    /// From hidden states to logits.
    Head,
}

impl Step {
    /// Returns all steps of a run through `layers` layers, in order.
    pub fn all(layers: usize) -> impl Iterator<Item = Self> {
        let encoder = (0..layers).flat_map(|layer| [Self::Attention(layer), Self::FeedForward(layer)]);
        core::iter::once(Self::Embedding).chain(encoder).chain(core::iter::once(Self::Head))
    }
}

/// The steps of a run over an arena that holds its ids, for an engine that schedules them itself.
#[derive(Clone, Copy)]
pub struct Steps<'a, 'm, T = Alone> {
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
    pub fn begin(&self, sequences: &[&[u16]], capacity: Capacity, arena: &mut [u8]) -> Result<Run, RunError> {
        let most = capacity.tokens;
        let tokens = sequences.iter().map(|ids| ids.len()).sum();
        if sequences.is_empty() || sequences.len() > capacity.sequences {
            return Err(RunError::Sequences { found: sequences.len(), most: capacity.sequences });
        }
        if tokens > most || sequences.iter().any(|ids| ids.is_empty()) {
            return Err(RunError::Length { tokens, most });
        }
        let config = self.model.config();
        let run = Run { tokens, sequences: sequences.len() };
        let workspace = Workspace::carve(config, self.capacity(run), arena)?;
        let (mut end, mut rest, mut ends) = (0, workspace.ids, workspace.ends.iter_mut());
        for sequence in sequences {
            if let Some(position) = sequence.iter().position(|id| usize::from(*id) >= config.vocab_size) {
                let (id, vocab_size) = (sequence[position], config.vocab_size);
                return Err(RunError::Token { position, id, vocab_size });
            }
            crate::team::take(&mut rest, sequence.len()).copy_from_slice(sequence);
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
    pub fn run(&self, step: Step, run: Run, arena: &mut [u8]) -> Result<(), RunError> {
        let (model, kernels, team) = (self.model, self.kernels, self.team);
        let config = model.config();
        let Workspace { ids, ends, hidden, logits, scratch } =
            Workspace::carve(config, self.capacity(run), arena)?;
        match step {
            Step::Embedding => {
                blocks::embedding::run(
                    team,
                    kernels,
                    config,
                    model.embeddings(),
                    (ids, ends),
                    hidden,
                    scratch,
                )?;
            }
            Step::Attention(index) => {
                let first_only = self.first_only(index);
                let layer = &model.layer(index)?;
                blocks::attention::run(team, kernels, config, layer, hidden, ends, first_only, scratch)?;
            }
            Step::FeedForward(index) => {
                let rows = if self.first_only(index) { run.sequences } else { run.tokens };
                let hidden = &mut hidden[..rows * config.hidden_size];
                blocks::feed_forward::run(team, kernels, config, &model.layer(index)?, hidden, scratch)?;
            }
            Step::Head => blocks::head::run(kernels, config, model.head(), hidden, logits, scratch)?,
        }
        Ok(())
    }

    /// Returns the logits that [`Step::Head`] left in the arena, sequence after sequence. They are
    /// not checked; [`verdict::finite`] does that for each sequence.
    ///
    /// # Errors
    /// When `arena` is too small for the run or misaligned.
    pub fn logits<'b>(&self, run: Run, arena: &'b mut [u8]) -> Result<&'b [f32], RunError> {
        Ok(Workspace::carve(self.model.config(), self.capacity(run), arena)?.logits)
    }

    /// Computes, for measurement, only the two GEMMs of a layer's feed-forward block. They are the
    /// GEMMs of a run of `tokens` tokens, over the bytes that the arena happens to hold. Returns
    /// the number of multiply-accumulates.
    ///
    /// # Errors
    /// When the arena is too small for a run of `tokens` tokens, or when the model has no layer
    /// `layer`.
    pub fn feed_forward_gemms(&self, layer: usize, tokens: usize, arena: &mut [u8]) -> Result<u64, RunError> {
        let config = self.model.config();
        let run = Run { tokens, sequences: 1 };
        let Workspace { scratch, .. } = Workspace::carve(config, self.capacity(run), arena)?;
        let rows = if self.first_only(layer) { run.sequences } else { tokens };
        blocks::feed_forward::gemms(self.kernels, config, &self.model.layer(layer)?, rows, scratch)?;
        Ok(2 * (rows * config.hidden_size * config.intermediate_size) as u64)
    }

    /// Returns whether only the first row of each sequence is read after this layer. This is so for
    /// the last layer of a classifier. That layer leaves those rows, and only them, at the
    /// beginning.
    fn first_only(&self, layer: usize) -> bool {
        let config = self.model.config();
        config.head == HeadKind::Classification && layer + 1 == config.num_hidden_layers
    }

    fn capacity(&self, run: Run) -> Capacity {
        Capacity { tokens: run.tokens, sequences: run.sequences, workers: self.team.workers() }
    }
}

/// The size of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    tokens: usize,
    sequences: usize,
}

/// Errors of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum RunError {
    /// A sequence has no tokens, or there are more tokens than fit.
    Length {
        /// Tokens given.
        tokens: usize,
        /// The maximum.
        most: usize,
    },
    /// No sequences, or more than fit.
    Sequences {
        /// Sequences given.
        found: usize,
        /// The maximum.
        most: usize,
    },
    /// A token id is beyond the vocabulary.
    Token {
        /// Its position in its sequence.
        position: usize,
        /// The id.
        id: u16,
        /// Number of ids in the vocabulary.
        vocab_size: usize,
    },
    /// A logit is infinite or NaN.
    NotFinite {
        /// Its index: of a label, or of a token of the sequence.
        index: usize,
    },
    /// The arena cannot hold the run.
    Arena(ArenaError),
    /// The model has no layer of the given index.
    Model(ModelError),
}

impl From<ArenaError> for RunError {
    fn from(error: ArenaError) -> Self {
        Self::Arena(error)
    }
}

impl From<ModelError> for RunError {
    fn from(error: ModelError) -> Self {
        Self::Model(error)
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { tokens, most } => write!(f, "sequence of {tokens} tokens, expected 1 to {most}"),
            Self::Sequences { found, most } => write!(f, "{found} sequences, expected 1 to {most}"),
            Self::Token { position, id, vocab_size } => {
                write!(f, "token id {id} at position {position}, expected below {vocab_size}")
            }
            Self::NotFinite { index } => write!(
                f,
                "logit {index} is not finite, expected a finite number: the weights of the model are too large for this text"
            ),
            Self::Arena(error) => write!(f, "{error}"),
            Self::Model(error) => write!(f, "model: {error}"),
        }
    }
}

impl core::error::Error for RunError {}
