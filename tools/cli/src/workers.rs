//! Processes rows with several workers and returns the results in input order.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;

use crate::failure::Failure;
use crate::input::{Row, Rows};

/// Rows read ahead per worker. The number evens out different lengths, but is small enough for
/// streams.
const ROWS_PER_WORKER: usize = 32;

/// Calls `work` in parallel, with one of `workers` and `together` rows at a time. Calls `done` with
/// each result in input order.
///
/// At the end of each batch, `done` is called with `None`, so that output can be flushed.
///
/// # Errors
/// Fails if a thread cannot be started or the input fails, and returns the errors of `done`.
pub(crate) fn run<W: Send, T: Send>(
    workers: &mut [W],
    rows: Rows,
    together: usize,
    work: impl Fn(&mut W, &[Row]) -> Vec<T> + Sync,
    mut done: impl FnMut(Option<(Row, T)>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let size = workers.len() * ROWS_PER_WORKER;
    let (sender, receiver) = sync_channel(size);
    // The thread is not joined: it may wait for standard input long after the rows are needed.
    spawn("reader", move || rows.map(|row| sender.send(row)).take_while(Result::is_ok).for_each(drop))?;
    while let Ok(first) = receiver.recv() {
        let mut batch = Vec::with_capacity(size);
        let mut failure = None;
        // A batch is made of the rows that are available. A slow stream is therefore answered row
        // by row, and a file in full batches.
        for row in std::iter::once(first).chain(receiver.try_iter()).take(size) {
            match row {
                Ok(row) => batch.push(row),
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        let results = run_batch(workers, &batch, together, &work)?;
        for (row, result) in batch.into_iter().zip(results) {
            done(Some((row, result)))?;
        }
        done(None)?;
        if let Some(failure) = failure {
            return Err(failure);
        }
    }
    Ok(())
}

/// Calls `work` in parallel, with one of `workers` and `together` items of `batch` at a time.
/// Returns the results in the order of the items.
///
/// # Errors
/// Fails if a thread cannot be started.
pub(crate) fn run_batch<W: Send, I: Sync, T: Send>(
    workers: &mut [W],
    batch: &[I],
    together: usize,
    work: &(impl Fn(&mut W, &[I]) -> Vec<T> + Sync),
) -> Result<Vec<T>, Failure> {
    if let [worker] = workers {
        return Ok(batch.chunks(together).flat_map(|items| work(worker, items)).collect());
    }
    let next = AtomicUsize::new(0);
    let take = |worker: &mut W| {
        let mut results = Vec::new();
        while let Some((first, items)) = {
            let index = next.fetch_add(1, Ordering::Relaxed);
            batch.chunks(together).nth(index).map(|items| (index * together, items))
        } {
            results.extend((first..).zip(work(worker, items)));
        }
        results
    };
    let outcome: Result<Vec<(usize, T)>, Failure> = thread::scope(|scope| {
        let take = &take;
        let start = |worker| {
            let thread = thread::Builder::new().name("worker".to_owned());
            let started = thread.spawn_scoped(scope, move || take(worker));
            if started.is_err() {
                // The workers that have started get no more items, because their results are not
                // used.
                next.store(usize::MAX / 2, Ordering::Relaxed);
            }
            started
        };
        let threads: io::Result<Vec<_>> = workers.iter_mut().map(start).collect();
        let threads = threads.map_err(|error| not_started(&error))?;
        // The panic of a worker continues in this thread.
        let results = threads.into_iter().flat_map(|thread| match thread.join() {
            Ok(results) => results,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        Ok(results.collect())
    });
    let mut results = outcome?;
    results.sort_unstable_by_key(|(index, _)| *index);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}

/// Starts a thread that is not joined.
///
/// # Errors
/// Fails if the thread cannot be started.
pub(crate) fn spawn(name: &str, task: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(task);
    thread.map(drop).map_err(|error| not_started(&error))
}

/// Returns the error for a thread that could not be started. The text is that of
/// `electra::Error::Thread`, which concerns threads that share a run.
fn not_started(error: &io::Error) -> Failure {
    Failure::run(format_args!("cannot start a thread: {error}"))
}

/// Returns the number of cores that this process may use.
pub(crate) fn cores() -> usize {
    thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}
