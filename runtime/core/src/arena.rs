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

/// Every buffer begins at a multiple of this many bytes, and so must the arena.
pub const ALIGNMENT: usize = 64;

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
    /// Token ids, `tokens` of them.
    pub ids: &'a mut [u16],
    /// Hidden states, tokens x hidden size.
    pub hidden: &'a mut [f32],
    /// One a label, or one a token for replaced-token detection.
    pub logits: &'a mut [f32],
    /// What the phases carve.
    pub scratch: &'a mut [u8],
}

impl<'a> Workspace<'a> {
    /// Carves the arena for a run of `tokens` tokens.
    pub(crate) fn carve(config: &Config, tokens: usize, arena: &'a mut [u8]) -> Result<Self, ArenaError> {
        let mut carver = Carver::new(arena);
        let (ids, hidden, logits) = persistent(config, tokens, &mut carver);
        Ok(Self { ids, hidden, logits, scratch: carver.finish()? })
    }
}

fn persistent<'a, S: Space<'a>>(
    config: &Config,
    tokens: usize,
    space: &mut S,
) -> (&'a mut [u16], &'a mut [f32], &'a mut [f32]) {
    (
        space.take("token ids", tokens, 1),
        space.take("hidden states", tokens, config.hidden_size),
        space.take("logits", config.num_logits(tokens), 1),
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

    fn describe(self, config: &Config, tokens: usize, report: &mut dyn FnMut(&'static str, usize)) -> usize {
        let mut measure = Measure { bytes: 0, report };
        match self {
            Self::Run => _ = persistent(config, tokens, &mut measure),
            Self::Embedding => _ = blocks::embedding::Scratch::take(config, &mut measure),
            Self::Attention => _ = blocks::attention::Scratch::take(config, tokens, &mut measure),
            Self::FeedForward => _ = blocks::feed_forward::Scratch::take(config, &mut measure),
            Self::Head => _ = blocks::head::Scratch::take(config, &mut measure),
        }
        measure.bytes
    }
}

/// Exact bytes of the arena for sequences of up to `tokens` tokens (`[CLS]` and `[SEP]` included).
///
/// An arena of this size works for every shorter sequence too; one byte less is refused. No sequence is longer than
/// the model's positions: more tokens need what those need.
#[must_use]
pub fn arena_bytes(config: &Config, tokens: usize) -> usize {
    let tokens = tokens.min(config.max_position_embeddings);
    let bytes = |phase: Phase| phase.describe(config, tokens, &mut |_, _| {});
    let scratch = Phase::ALL[1..].iter().map(|phase| bytes(*phase)).max().unwrap_or(0);
    bytes(Phase::Run).saturating_add(scratch)
}

/// Calls `report` with phase, name and bytes of every buffer that [`arena_bytes`] counts.
pub fn arena_parts(config: &Config, tokens: usize, mut report: impl FnMut(Phase, &'static str, usize)) {
    let tokens = tokens.min(config.max_position_embeddings);
    for phase in Phase::ALL {
        phase.describe(config, tokens, &mut |name, bytes| report(phase, name, bytes));
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

/// Checks that `arena` can hold runs of up to `tokens` tokens.
pub(crate) fn check(config: &Config, tokens: usize, arena: &[u8]) -> Result<(), ArenaError> {
    let (needed, given) = (arena_bytes(config, tokens), arena.len());
    if given < needed {
        return Err(ArenaError::TooSmall { needed, given, tokens });
    }
    if arena.as_ptr().align_offset(ALIGNMENT) != 0 {
        return Err(ArenaError::Misaligned);
    }
    Ok(())
}
