//! The blocks of ELECTRA over the kernels: embedding, self-attention, feed-forward, heads.
//!
//! Both engines call these functions in the same order on the same arena, so their logits are equal
//! bit for bit. A block carves its scratch memory from the arena, works through the sequence
//! [`ROW_BLOCK`] rows at a time, and reads weights in place from the model file.

use core::ops::Range;

use crate::config::Config;
use crate::kernels::KernelSet;

pub(crate) mod attention;
pub(crate) mod embedding;
pub(crate) mod feed_forward;
pub(crate) mod head;
mod linear;

/// Rows that a block takes through its matrices together. The wide intermediate values exist for
/// this many rows only.
pub(crate) const ROW_BLOCK: usize = 16;

/// The surroundings of every block of a run.
pub(crate) struct Context<'a, T> {
    /// The workers that share a block.
    pub team: &'a T,
    pub kernels: &'a dyn KernelSet,
    pub config: &'a Config,
}

/// Splits `rows` into blocks of at most [`ROW_BLOCK`].
fn blocks_of_rows(rows: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    rows.clone().step_by(ROW_BLOCK).map(move |start| start..rows.end.min(start + ROW_BLOCK))
}
