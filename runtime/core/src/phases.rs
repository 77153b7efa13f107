//! The size of the arena for a whole run: the buffers of the run, and the scratch memory of its
//! largest phase.

use crate::arena::{ALIGNMENT, ArenaError, Capacity, Measure, persistent};
use crate::blocks;
use crate::config::Config;

/// A phase of a run; phases share the arena's scratch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "reports show every phase")]
pub enum Phase {
    /// The buffers that live through the whole run.
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
        let mut measure = Measure::new(report);
        match self {
            Self::Run => _ = persistent(config, run, &mut measure),
            Self::Embedding => _ = blocks::embedding::Scratch::take(config, run.workers, &mut measure),
            Self::Attention => _ = blocks::attention::Scratch::take(config, run, &mut measure),
            Self::FeedForward => _ = blocks::feed_forward::Scratch::take(config, run.workers, &mut measure),
            Self::Head => _ = blocks::head::Scratch::take(config, &mut measure),
        }
        measure.bytes()
    }
}

/// Returns the exact size in bytes of the arena for runs of up to `capacity` (`[CLS]` and `[SEP]`
/// included).
///
/// An arena of this size also works for everything shorter; one byte less is refused. No run is
/// longer than the model's positions, so a capacity of more tokens needs no more bytes.
#[must_use]
pub fn arena_bytes(config: &Config, capacity: impl Into<Capacity>) -> usize {
    let run = capacity.into().within(config);
    let bytes = |phase: Phase| phase.describe(config, run, &mut |_, _| {});
    let scratch = Phase::ALL[1..].iter().map(|phase| bytes(*phase)).max().unwrap_or(0);
    bytes(Phase::Run).saturating_add(scratch)
}

/// Calls `report` with phase, name and bytes of every buffer that [`arena_bytes`] measures.
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
