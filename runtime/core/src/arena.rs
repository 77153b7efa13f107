//! One block of memory for everything that a run writes. Its size follows from the config and the
//! [`Capacity`].
//!
//! The block begins with the buffers that live through a whole run (token ids, hidden states,
//! logits). The rest is scratch memory. Each phase of a run (embedding, attention, feed-forward,
//! head) carves its own buffers from it, so the scratch memory is as large as the largest phase,
//! not as the sum of the phases.
//!
//! Each phase describes its buffers once, to a [`Space`]. Measuring and carving run the same
//! description, so the promised size and the used size cannot differ.

use core::fmt;

use bytemuck::Pod;

use crate::config::Config;
use crate::team::MAX_WORKERS;

/// Alignment in bytes of the arena and of every buffer in it.
pub const ALIGNMENT: usize = 64;

/// The largest run that an arena can hold. A plain number of tokens stands for one sequence and one
/// worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "callers make it, and a new field would change the size of every arena"
)]
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
    /// Returns the largest number of tokens after each sequence is padded to a multiple of `unit`.
    pub(crate) fn padded(&self, unit: usize) -> usize {
        let padding = self.sequences.saturating_mul(unit - 1);
        self.tokens.saturating_add(padding) / unit * unit
    }

    /// Returns this capacity with no more tokens than the model has positions, no more sequences
    /// than tokens, and no more than [`MAX_WORKERS`] workers.
    pub(crate) fn within(self, config: &Config) -> Self {
        let tokens = self.tokens.min(config.max_position_embeddings);
        let (sequences, workers) =
            (self.sequences.clamp(1, tokens.max(1)), self.workers.clamp(1, MAX_WORKERS));
        Self { tokens, sequences, workers }
    }
}

/// Source of a phase's buffers: a real block, or a measurement of its size.
pub(crate) trait Space<'a> {
    /// Takes `rows` x `columns` elements, called `name` in reports. Where there is no room, the
    /// slice is empty and [`Carver::finish`] reports the error.
    fn take<T: Pod>(&mut self, name: &'static str, rows: usize, columns: usize) -> &'a mut [T];
}

/// Adds up the bytes that a phase takes and reports each buffer.
pub(crate) struct Measure<F> {
    bytes: usize,
    report: F,
}

impl<F> Measure<F> {
    pub(crate) fn new(report: F) -> Self {
        Self { bytes: 0, report }
    }

    /// Returns the bytes that were taken so far.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
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

    /// Confirms that there was room for every buffer and returns the rest of the block.
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

/// The buffers that live through a whole run, and the scratch memory.
pub(crate) struct Workspace<'a> {
    /// Token ids of all sequences, one after the other.
    pub ids: &'a mut [u16],
    /// End of each sequence in `ids`, except the last.
    pub ends: &'a mut [u16],
    /// Hidden states, tokens x hidden size.
    pub hidden: &'a mut [f32],
    /// One logit per label for each sequence, or one per token for replaced-token detection.
    pub logits: &'a mut [f32],
    /// Memory from which the phases carve their buffers.
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

/// Takes the buffers that live through a whole run.
pub(crate) fn persistent<'a, S: Space<'a>>(config: &Config, run: Capacity, space: &mut S) -> Persistent<'a> {
    (
        space.take("token ids", run.tokens, 1),
        space.take("ends of sequences", run.sequences - 1, 1),
        space.take("hidden states", run.tokens, config.hidden_size),
        space.take("logits", config.num_logits(run.tokens, run.sequences), 1),
    )
}

/// An arena that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ArenaError {
    /// Fewer bytes than the run needs.
    TooSmall {
        /// Bytes needed.
        needed: usize,
        /// Bytes given.
        given: usize,
        /// Tokens of the capacity that was asked for.
        tokens: usize,
    },
    /// The block does not begin at a multiple of [`ALIGNMENT`].
    Misaligned,
    /// A phase found less scratch memory than it needs: the arena is smaller than
    /// [`crate::arena_bytes`], or it was exchanged during the run.
    Scratch,
}

impl fmt::Display for ArenaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooSmall { needed, given, tokens } => {
                write!(f, "arena: {given} bytes given, {needed} needed for {tokens} tokens")
            }
            Self::Misaligned => write!(f, "arena: its address must be a multiple of {ALIGNMENT}"),
            Self::Scratch => f.write_str("arena: too little scratch memory for a phase"),
        }
    }
}

impl core::error::Error for ArenaError {}
