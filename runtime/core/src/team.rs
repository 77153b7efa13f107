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
#[expect(clippy::exhaustive_structs, reason = "callers make it")]
pub struct SingleThread;

impl Team for SingleThread {
    fn workers(&self) -> usize {
        1
    }

    fn for_each<P: Send>(&self, parts: &mut [P], task: impl Fn(&mut P) + Sync) {
        parts.iter_mut().for_each(task);
    }
}

/// Buffers that workers can divide by items: rows, or attention heads.
pub(crate) trait Divisible: Sized + Send {
    /// Splits the first `items` items off.
    fn split_off_first(&mut self, items: usize) -> Self;
}

/// A buffer of items that have `width` elements each.
pub(crate) struct Items<'a, E> {
    pub elements: &'a mut [E],
    pub width: usize,
}

impl<E> Items<'_, E> {
    /// Returns `part` of the elements of one item.
    pub(crate) fn part(&self, item: usize, part: Range<usize>) -> &[E] {
        let start = item * self.width;
        &self.elements[start + part.start..start + part.end]
    }

    pub(crate) fn reborrow(&mut self) -> Items<'_, E> {
        Items { elements: self.elements, width: self.width }
    }
}

impl<E: Send> Divisible for Items<'_, E> {
    fn split_off_first(&mut self, items: usize) -> Self {
        Self { elements: take(&mut self.elements, items * self.width), width: self.width }
    }
}

impl<A: Divisible, B: Divisible> Divisible for (A, B) {
    fn split_off_first(&mut self, items: usize) -> Self {
        (self.0.split_off_first(items), self.1.split_off_first(items))
    }
}

/// Divides `items` items of `buffers` evenly among the workers of `team`, of which at most one per
/// `fewest` items takes part. Calls `task` once per worker that has a share, with the numbers of
/// its items, their buffers, and its element of `workers`.
pub(crate) fn share_among<T: Team, B: Divisible, W: Send>(
    team: &T,
    (items, fewest): (usize, usize),
    mut buffers: B,
    workers: &mut [W; MAX_WORKERS],
    task: impl Fn(Range<usize>, B, &mut W) + Sync,
) {
    let sharing = team.workers().min(items.div_ceil(fewest));
    let (mut index, mut used) = (0, 0);
    let mut parts = workers.each_mut().map(|worker| {
        let share = share(items, sharing, index);
        index += 1;
        used += usize::from(!share.is_empty());
        (share.clone(), Some(buffers.split_off_first(share.len())), worker)
    });
    team.for_each(&mut parts[..used], |(share, buffers, worker)| {
        if let Some(buffers) = buffers.take() {
            task(share.clone(), buffers, worker);
        }
    });
}

/// Rows per worker of [`share_among`]. With fewer rows each, all workers would read all weights for
/// very little work.
pub(crate) const FEWEST_ROWS: usize = 4;

/// Returns the item numbers of worker `index` when `workers` share `items` evenly.
fn share(items: usize, workers: usize, index: usize) -> Range<usize> {
    let each = items.div_ceil(workers.max(1));
    (index * each).min(items)..((index + 1) * each).min(items)
}

/// Splits the first `len` elements off `rest`.
pub(crate) fn take<'a, T>(rest: &mut &'a mut [T], len: usize) -> &'a mut [T] {
    let (taken, left) = core::mem::take(rest).split_at_mut(len);
    *rest = left;
    taken
}
