//! The direct engine: the blocks called in order, with no allocator and no operating system.

use core::fmt;

use crate::arena::{self, ArenaError, Workspace};
use crate::blocks;
use crate::config::HeadKind;
use crate::kernels::Kernels;
use crate::model::{Model, ModelError};

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
    /// Lends `arena` to an engine for sequences of up to `max_tokens` tokens.
    ///
    /// # Errors
    /// When `arena` is smaller than [`crate::arena_bytes`] (the error names that size), or not aligned to
    /// [`crate::ARENA_ALIGNMENT`] bytes, or `max_tokens` is 0 or exceeds the model's positions.
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
        arena::check(model.config(), max_tokens, arena)?;
        Ok(Self { steps: Steps { model, kernels }, arena, max_tokens })
    }

    /// Runs one sequence, `[CLS]` and `[SEP]` included, and returns its logits: one a label, or one a token.
    ///
    /// # Errors
    /// When there are no ids, more than fit, or one beyond the vocabulary.
    pub fn run(&mut self, ids: &[u16]) -> Result<&[f32], RunError> {
        let tokens = ids.len();
        self.steps.begin(ids, self.max_tokens, self.arena)?;
        for step in self.steps.all() {
            self.steps.run(step, tokens, self.arena)?;
        }
        self.steps.logits(tokens, self.arena)
    }
}

/// One step of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Ids to the encoder's input.
    Embedding,
    /// Self-attention of this layer.
    Attention(usize),
    /// The feed-forward block of this layer.
    FeedForward(usize),
    /// Hidden states to logits.
    Head,
}

/// The steps of a run over an arena that holds its ids: what an engine with a planner of its own schedules.
#[derive(Clone, Copy)]
pub struct Steps<'a, 'm> {
    /// The model whose weights are read in place.
    pub model: &'a Model<'m>,
    /// The kernels that compute.
    pub kernels: Kernels,
}

impl Steps<'_, '_> {
    /// All steps of a run, in order.
    pub fn all(&self) -> impl Iterator<Item = Step> + use<> {
        let layers = self.model.config().num_hidden_layers;
        let encoder = (0..layers).flat_map(|layer| [Step::Attention(layer), Step::FeedForward(layer)]);
        core::iter::once(Step::Embedding).chain(encoder).chain(core::iter::once(Step::Head))
    }

    /// Runs one step of a run of `tokens` tokens.
    ///
    /// # Errors
    /// When the arena is not the one that the run began with.
    pub fn run(&self, step: Step, tokens: usize, arena: &mut [u8]) -> Result<(), RunError> {
        let (model, kernels) = (self.model, self.kernels);
        let config = model.config();
        let Workspace { ids, hidden, logits, scratch } = Workspace::carve(config, tokens, arena)?;
        match step {
            Step::Embedding => {
                blocks::embedding::run(kernels, config, model.embeddings(), ids, hidden, scratch)?;
            }
            Step::Attention(index) => {
                let rows = self.output_rows(index, tokens);
                blocks::attention::run(kernels, config, &model.layer(index)?, hidden, rows, scratch)?;
            }
            Step::FeedForward(index) => {
                let rows = self.output_rows(index, tokens);
                let hidden = &mut hidden[..rows * config.hidden_size];
                blocks::feed_forward::run(kernels, config, &model.layer(index)?, hidden, scratch)?;
            }
            Step::Head => blocks::head::run(kernels, config, model.head(), hidden, logits, scratch)?,
        }
        Ok(())
    }

    /// Rows that anyone reads after a layer: after the last layer of a classifier, only `[CLS]`.
    fn output_rows(&self, layer: usize, tokens: usize) -> usize {
        let config = self.model.config();
        match config.head {
            HeadKind::Classification if layer + 1 == config.num_hidden_layers => 1,
            _ => tokens,
        }
    }

    /// Checks `ids` and copies them to where the steps expect them.
    ///
    /// # Errors
    /// As [`Engine::run`].
    pub fn begin(&self, ids: &[u16], max_tokens: usize, arena: &mut [u8]) -> Result<(), RunError> {
        check_ids(self.model, ids, max_tokens)?;
        Workspace::carve(self.model.config(), ids.len(), arena)?.ids.copy_from_slice(ids);
        Ok(())
    }

    /// The logits that [`Step::Head`] left in the arena.
    ///
    /// # Errors
    /// When the arena is not the one that the run began with.
    pub fn logits<'b>(&self, tokens: usize, arena: &'b mut [u8]) -> Result<&'b [f32], RunError> {
        Ok(Workspace::carve(self.model.config(), tokens, arena)?.logits)
    }
}

fn check_ids(model: &Model<'_>, ids: &[u16], most: usize) -> Result<(), RunError> {
    if ids.is_empty() || ids.len() > most {
        return Err(RunError::Length { tokens: ids.len(), most });
    }
    let vocab_size = model.config().vocab_size;
    match ids.iter().position(|id| usize::from(*id) >= vocab_size) {
        Some(position) => Err(RunError::Token { position, id: ids[position], vocab_size }),
        None => Ok(()),
    }
}

/// A run that could not be made.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum RunError {
    /// No tokens, or more than fit.
    Length {
        /// Tokens given.
        tokens: usize,
        /// Most that fit.
        most: usize,
    },
    /// A token id beyond the vocabulary.
    Token {
        /// Where it stands.
        position: usize,
        /// The id.
        id: u16,
        /// Ids there are.
        vocab_size: usize,
    },
    /// The arena cannot hold the run.
    Arena(ArenaError),
    /// The model's bytes changed since they were parsed.
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
            Self::Token { position, id, vocab_size } => {
                write!(f, "token id {id} at position {position}, expected below {vocab_size}")
            }
            Self::Arena(error) => write!(f, "{error}"),
            Self::Model(error) => write!(f, "model: {error}"),
        }
    }
}

impl core::error::Error for RunError {}
