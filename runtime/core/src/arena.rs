//! One block of memory for everything a run writes, its size known from the config and the longest sequence.
//!
//! The block begins with what lives through a whole run (token ids, hidden states, logits). The rest is scratch
//! that the phases of a run (embedding, attention, feed-forward, head) carve anew, each as it needs: the block
//! is as large as the largest phase, not as their sum.
//!
//! Each phase describes its buffers once, to a [`Space`]: measuring and carving run the same description, so
//! the promised size and the used size cannot differ.

use core::fmt;

use bytemuck::Pod;

use crate::blocks;
use crate::config::Config;
use crate::team::MAX_WORKERS;

/// Every buffer begins at a multiple of this many bytes, and so must the arena.
pub const ALIGNMENT: usize = 64;

/// What an arena can hold. A plain number of tokens stands for one sequence and one worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Tokens of all sequences of a run together, `[CLS]` and `[SEP]` included.
    pub tokens: usize,
    /// Sequences of a run.
    pub sequences: usize,
    /// Workers of the team.
    pub workers: usize,
}

impl From<usize> for Capacity {
    fn from(tokens: usize) -> Self {
        Self { tokens, sequences: 1, workers: 1 }
    }
}

impl Capacity {
    /// Tokens with each sequence padded to a multiple of `unit`.
    pub(crate) fn padded(&self, unit: usize) -> usize {
        let padding = self.sequences.saturating_mul(unit - 1);
        self.tokens.saturating_add(padding) / unit * unit
    }

    /// The same for no more tokens than the model has positions, nor more sequences than tokens or workers than can be.
    fn within(self, config: &Config) -> Self {
        let tokens = self.tokens.min(config.max_position_embeddings);
        let (sequences, workers) =
            (self.sequences.clamp(1, tokens.max(1)), self.workers.clamp(1, MAX_WORKERS));
        Self { tokens, sequences, workers }
    }
}

/// Where a phase's buffers come from: a real block, or a measure of it.
pub(crate) trait Space<'a> {
    /// `rows` times `columns` elements under `name`. Empty when there is no room, which the space remembers.
    fn take<T: Pod>(&mut self, name: &'static str, rows: usize, columns: usize) -> &'a mut [T];
}

/// Adds up what a phase takes and reports each buffer.
struct Measure<F> {
    bytes: usize,
    report: F,
}

impl<'a, F: FnMut(&'static str, usize)> Space<'a> for Measure<F> {
    fn take<T: Pod>(&mut self, name: &'static str, rows: usize, columns: usize) -> &'a mut [T] {
        let bytes = rows.saturating_mul(columns).saturating_mul(size_of::<T>());
        (self.report)(name, bytes);
        self.bytes =
            self.bytes.saturating_add(bytes.checked_next_multiple_of(ALIGNMENT).unwrap_or(usize::MAX));
        &mut []
    }
}

/// Hands out consecutive buffers of a block.
pub(crate) struct Carver<'a> {
    rest: &'a mut [u8],
    exhausted: bool,
}

impl<'a> Carver<'a> {
    pub(crate) fn new(block: &'a mut [u8]) -> Self {
        Self { rest: block, exhausted: false }
    }

    /// Confirms that everything taken was there; what is left of the block.
    pub(crate) fn finish(self) -> Result<&'a mut [u8], ArenaError> {
        if self.exhausted { Err(ArenaError::Scratch) } else { Ok(self.rest) }
    }
}

impl<'a> Space<'a> for Carver<'a> {
    fn take<T: Pod>(&mut self, _name: &'static str, rows: usize, columns: usize) -> &'a mut [T] {
        let bytes = rows.saturating_mul(columns).saturating_mul(size_of::<T>());
        let padded = bytes.checked_next_multiple_of(ALIGNMENT).unwrap_or(usize::MAX);
        let rest = core::mem::take(&mut self.rest);
        if padded > rest.len() {
            self.exhausted = true;
            return &mut [];
        }
        let (taken, rest) = rest.split_at_mut(padded);
        self.rest = rest;
        bytemuck::try_cast_slice_mut(&mut taken[..bytes]).unwrap_or_else(|_| {
            self.exhausted = true;
            &mut []
        })
    }
}

/// What lives through a whole run.
pub(crate) struct Workspace<'a> {
    /// Token ids of all sequences, one after the other.
    pub ids: &'a mut [u16],
    /// Where each sequence but the last ends in `ids`.
    pub ends: &'a mut [u16],
    /// Hidden states, tokens x hidden size.
    pub hidden: &'a mut [f32],
    /// Of each sequence one a label, or one a token for replaced-token detection.
    pub logits: &'a mut [f32],
    /// What the phases carve.
    pub scratch: &'a mut [u8],
}

impl<'a> Workspace<'a> {
    /// Carves the arena for a run.
    pub(crate) fn carve(config: &Config, run: Capacity, arena: &'a mut [u8]) -> Result<Self, ArenaError> {
        let mut carver = Carver::new(arena);
        let (ids, ends, hidden, logits) = persistent(config, run, &mut carver);
        Ok(Self { ids, ends, hidden, logits, scratch: carver.finish()? })
    }
}

type Persistent<'a> = (&'a mut [u16], &'a mut [u16], &'a mut [f32], &'a mut [f32]);

fn persistent<'a, S: Space<'a>>(config: &Config, run: Capacity, space: &mut S) -> Persistent<'a> {
    (
        space.take("token ids", run.tokens, 1),
        space.take("ends of sequences", run.sequences - 1, 1),
        space.take("hidden states", run.tokens, config.hidden_size),
        space.take("logits", config.num_logits(run.tokens, run.sequences), 1),
    )
}

/// A phase of a run; phases share the arena's scratch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Alive through the whole run.
    Run,
    /// Looking up, normalising and projecting the embeddings.
    Embedding,
    /// Self-attention of one layer.
    Attention,
    /// The feed-forward block of one layer.
    FeedForward,
    /// The head on top.
    Head,
}

impl Phase {
    /// All phases, in the order of a run.
    pub const ALL: [Self; 5] = [Self::Run, Self::Embedding, Self::Attention, Self::FeedForward, Self::Head];

    fn describe(self, config: &Config, run: Capacity, report: &mut dyn FnMut(&'static str, usize)) -> usize {
        let mut measure = Measure { bytes: 0, report };
        match self {
            Self::Run => _ = persistent(config, run, &mut measure),
            Self::Embedding => _ = blocks::embedding::Scratch::take(config, run.workers, &mut measure),
            Self::Attention => _ = blocks::attention::Scratch::take(config, run, &mut measure),
            Self::FeedForward => _ = blocks::feed_forward::Scratch::take(config, run.workers, &mut measure),
            Self::Head => _ = blocks::head::Scratch::take(config, &mut measure),
        }
        measure.bytes
    }
}

/// Exact bytes of the arena for sequences of up to so many tokens (`[CLS]` and `[SEP]` included).
///
/// An arena of this size works for everything shorter too; one byte less is refused. No run is longer than the
/// model's positions: more tokens need what those need.
#[must_use]
pub fn arena_bytes(config: &Config, capacity: impl Into<Capacity>) -> usize {
    let run = capacity.into().within(config);
    let bytes = |phase: Phase| phase.describe(config, run, &mut |_, _| {});
    let scratch = Phase::ALL[1..].iter().map(|phase| bytes(*phase)).max().unwrap_or(0);
    bytes(Phase::Run).saturating_add(scratch)
}

/// Calls `report` with phase, name and bytes of every buffer that [`arena_bytes`] counts.
pub fn arena_parts(
    config: &Config,
    capacity: impl Into<Capacity>,
    mut report: impl FnMut(Phase, &'static str, usize),
) {
    let run = capacity.into().within(config);
    for phase in Phase::ALL {
        phase.describe(config, run, &mut |name, bytes| report(phase, name, bytes));
    }
}

/// An arena that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArenaError {
    /// Fewer bytes than the run needs.
    TooSmall {
        /// Bytes needed.
        needed: usize,
        /// Bytes given.
        given: usize,
        /// The longest sequence that was asked for.
        tokens: usize,
    },
    /// The block does not begin at a multiple of [`ALIGNMENT`].
    Misaligned,
    /// A phase found less scratch than it measured; only an arena that was exchanged in between can cause it.
    Scratch,
}

impl fmt::Display for ArenaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooSmall { needed, given, tokens } => {
                write!(f, "arena: {given} bytes given, {needed} needed for {tokens} tokens")
            }
            Self::Misaligned => write!(f, "arena: its address must be a multiple of {ALIGNMENT}"),
            Self::Scratch => f.write_str("arena: a phase found less scratch than was measured"),
        }
    }
}

impl core::error::Error for ArenaError {}

/// Checks that `arena` can hold runs of `capacity`.
pub(crate) fn check(config: &Config, capacity: Capacity, arena: &[u8]) -> Result<(), ArenaError> {
    let (needed, given) = (arena_bytes(config, capacity), arena.len());
    if given < needed {
        return Err(ArenaError::TooSmall { needed, given, tokens: capacity.tokens });
    }
    if arena.as_ptr().align_offset(ALIGNMENT) != 0 {
        return Err(ArenaError::Misaligned);
    }
    Ok(())
}
