//! Division of one run among several workers. The caller provides the workers; this module decides
//! which part each worker takes.
//!
//! No sum is divided: a worker takes whole rows or whole attention heads. The result therefore has
//! the same bits for any number of workers.

use core::ops::Range;

/// Maximum number of workers of a [`Team`]; 1 without the feature `std`.
pub const MAX_WORKERS: usize = if cfg!(any(feature = "std", test)) { 8 } else { 1 };

/// Workers that run tasks in parallel.
pub trait Team: Sync {
    /// Returns the number of workers, from 1 to [`MAX_WORKERS`].
    fn workers(&self) -> usize;

    /// Calls `task` once for each of `parts`, of which there are at most [`Team::workers`], and
    /// returns after all calls have returned.
    fn for_each<P: Send>(&self, parts: &mut [P], task: impl Fn(&mut P) + Sync);
}

/// A team of one: the calling thread.
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

/// Returns the item numbers of worker `index` when `workers` share `items` evenly.
pub(crate) fn share(items: usize, workers: usize, index: usize) -> Range<usize> {
    let each = items.div_ceil(workers.max(1));
    (index * each).min(items)..((index + 1) * each).min(items)
}

/// Returns the row numbers of worker `index` when `workers` share `rows`. There is at most one
/// worker per four rows, rounded up: with fewer rows each, all workers would read all weights for
/// very little work.
pub(crate) fn share_rows(rows: usize, workers: usize, index: usize) -> Range<usize> {
    const FEWEST: usize = 4;
    share(rows, workers.min(rows.div_ceil(FEWEST)), index)
}

/// Splits the first `len` elements off `rest`, a slice that several workers share.
pub(crate) fn take<'a, T>(rest: &mut &'a mut [T], len: usize) -> &'a mut [T] {
    let (taken, left) = core::mem::take(rest).split_at_mut(len);
    *rest = left;
    taken
}
