//! Several workers on one run: who they are is the caller's affair, what each does is decided here.
//!
//! Work is divided so that no sum is: a worker takes whole rows or whole attention heads. Hence the same bits with any
//! number of workers.

use core::ops::Range;

/// Most workers of a [`Team`]; without an operating system there is one.
pub const MAX_WORKERS: usize = if cfg!(any(feature = "std", test)) { 8 } else { 1 };

/// Workers that run tasks side by side.
pub trait Team: Sync {
    /// How many there are, from 1 to [`MAX_WORKERS`].
    fn workers(&self) -> usize;

    /// Calls `task` once with each of at most [`Team::workers`] parts, and returns when all calls have.
    fn for_each<P: Send>(&self, parts: &mut [P], task: impl Fn(&mut P) + Sync);
}

/// The calling thread alone.
#[derive(Clone, Copy, Debug)]
pub struct Alone;

impl Team for Alone {
    fn workers(&self) -> usize {
        1
    }

    fn for_each<P: Send>(&self, parts: &mut [P], task: impl Fn(&mut P) + Sync) {
        parts.iter_mut().for_each(task);
    }
}

/// Item numbers of worker `index` when `workers` share `items` evenly.
pub(crate) fn share(items: usize, workers: usize, index: usize) -> Range<usize> {
    let each = items.div_ceil(workers.max(1));
    (index * each).min(items)..((index + 1) * each).min(items)
}

/// The same for rows, of which a worker takes at least as many as a tile of the GEMM has: with fewer, all workers would
/// read all weights for next to no work.
pub(crate) fn share_rows(rows: usize, workers: usize, index: usize) -> Range<usize> {
    const FEWEST: usize = 4;
    share(rows, workers.min(rows.div_ceil(FEWEST)), index)
}

/// Takes the first `len` elements off a slice that several workers share.
pub(crate) fn take<'a, T>(rest: &mut &'a mut [T], len: usize) -> &'a mut [T] {
    let (taken, left) = core::mem::take(rest).split_at_mut(len);
    *rest = left;
    taken
}
