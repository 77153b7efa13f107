//! Rows through a number of workers and out again in input order.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;

use crate::failure::Failure;
use crate::input::{Row, Rows};

/// Rows read ahead for each worker: enough to even out their lengths, few enough for streams to flow.
const ROWS_PER_WORKER: usize = 32;

/// Calls `work` on `together` rows at a time with one of `workers`, in parallel, and `done` with each result in input order.
///
/// `done` is also told when a batch ends, with `None`, so that output can be flushed.
pub(crate) fn run<W: Send, T: Send>(
    workers: &mut [W],
    rows: Rows,
    together: usize,
    work: impl Fn(&mut W, &[Row]) -> Vec<T> + Sync,
    mut done: impl FnMut(Option<(Row, T)>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let size = workers.len() * ROWS_PER_WORKER;
    let (sender, receiver) = sync_channel(size);
    // Not joined: it may wait for standard input long after nobody wants the rows any more.
    thread::spawn(move || rows.map(|row| sender.send(row)).take_while(Result::is_ok).for_each(drop));
    while let Ok(first) = receiver.recv() {
        let mut batch = Vec::with_capacity(size);
        let mut failure = None;
        // Whatever is there already: a slow stream is answered row by row, a file in full batches.
        for row in std::iter::once(first).chain(receiver.try_iter()).take(size) {
            match row {
                Ok(row) => batch.push(row),
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        for (row, result) in run_batch(workers, batch, together, &work) {
            done(Some((row, result)))?;
        }
        done(None)?;
        if let Some(failure) = failure {
            return Err(failure);
        }
    }
    Ok(())
}

fn run_batch<W: Send, T: Send>(
    workers: &mut [W],
    batch: Vec<Row>,
    together: usize,
    work: &(impl Fn(&mut W, &[Row]) -> Vec<T> + Sync),
) -> Vec<(Row, T)> {
    if let [worker] = workers {
        let results: Vec<T> = batch.chunks(together).flat_map(|rows| work(worker, rows)).collect();
        return batch.into_iter().zip(results).collect();
    }
    let next = AtomicUsize::new(0);
    let take = |worker: &mut W| {
        let mut results = Vec::new();
        while let Some((index, rows)) = {
            let index = next.fetch_add(1, Ordering::Relaxed);
            batch.chunks(together).nth(index).map(|rows| (index * together, rows))
        } {
            results.extend(
                work(worker, rows).into_iter().enumerate().map(|(row, result)| (index + row, result)),
            );
        }
        results
    };
    let mut results: Vec<(usize, T)> = thread::scope(|scope| {
        let threads: Vec<_> = workers.iter_mut().map(|worker| scope.spawn(|| take(worker))).collect();
        // A worker's panic goes on in this thread.
        threads
            .into_iter()
            .flat_map(|thread| match thread.join() {
                Ok(results) => results,
                Err(panic) => std::panic::resume_unwind(panic),
            })
            .collect()
    });
    results.sort_unstable_by_key(|(index, _)| *index);
    batch.into_iter().zip(results).map(|(row, (_, result))| (row, result)).collect()
}

/// Cores that this process may use.
pub(crate) fn cores() -> usize {
    thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}
