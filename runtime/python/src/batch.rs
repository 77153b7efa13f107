//! Work on many texts with several threads, which Ctrl-C interrupts.

use std::ops::DerefMut;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;

use crate::errors::exception;
use crate::pool::Pool;
use crate::texts::Texts;

/// Texts that a thread takes at a time. Short ones run together.
const TOGETHER: usize = 8;
/// Time between two looks for signals.
const SIGNALS: Duration = Duration::from_millis(50);

/// Answers all texts with at most `threads` engines of a pool; `None` for a missing text. The
/// caller must not hold the lock of the interpreter.
///
/// # Errors
/// The error of `make`, and those of [`run`].
pub(crate) fn answers<E: Send, R: Send>(
    pool: &Pool<E>,
    threads: usize,
    texts: &Texts,
    make: impl Fn() -> Result<E, electra::Error>,
    work: impl Fn(&mut E, &[&str]) -> Vec<Result<R, electra::Error>> + Sync,
) -> PyResult<Vec<Option<R>>> {
    let texts = texts.all();
    let present: Vec<&str> = texts.iter().flatten().copied().collect();
    let threads = threads.min(present.len().div_ceil(TOGETHER)).max(1);
    let engines: Result<Vec<_>, electra::Error> = (0..threads).map(|_| pool.take(&make)).collect();
    let mut engines = engines.map_err(|error| exception(&error))?;
    let mut answers = run(&mut engines, &present, work)?.into_iter();
    Ok(texts.iter().map(|text| text.and_then(|_| answers.next())).collect())
}

/// Calls `work` with [`TOGETHER`] texts at a time and one of `engines`, each in a thread of its
/// own. Returns one result per text, in order. The caller must not hold the lock of the
/// interpreter.
///
/// # Errors
/// The first error of `work` with the index of its text, the exception of a signal handler, or that
/// a thread cannot be started.
fn run<E: DerefMut + Send, R: Send>(
    engines: &mut [E],
    texts: &[&str],
    work: impl Fn(&mut E::Target, &[&str]) -> Vec<Result<R, electra::Error>> + Sync,
) -> PyResult<Vec<R>> {
    let chunks: Vec<&[&str]> = texts.chunks(TOGETHER).collect();
    let mut results = match engines {
        [engine] => on_this_thread(engine, &chunks, &work)?,
        engines => on_several_threads(engines, &chunks, &work)?,
    };
    results.sort_unstable_by_key(|(chunk, _)| *chunk);
    let results = results.into_iter().flat_map(|(_, results)| results).enumerate();
    let named = |(index, result): (usize, Result<R, electra::Error>)| {
        result.map_err(|error| {
            let exception = exception(&error);
            Python::attach(|py| {
                let text = format!("texts[{index}]: {error}");
                PyErr::from_type(exception.get_type(py), text)
            })
        })
    };
    results.map(named).collect()
}

/// Results of the texts of a chunk, with the index of the chunk.
type Results<R> = Vec<(usize, Vec<Result<R, electra::Error>>)>;

fn on_this_thread<E: DerefMut, R>(
    engine: &mut E,
    chunks: &[&[&str]],
    work: &impl Fn(&mut E::Target, &[&str]) -> Vec<Result<R, electra::Error>>,
) -> PyResult<Results<R>> {
    let mut looked = Instant::now();
    let mut results = Vec::with_capacity(chunks.len());
    for (index, texts) in chunks.iter().enumerate() {
        if looked.elapsed() >= SIGNALS {
            Python::attach(|py| py.check_signals())?;
            looked = Instant::now();
        }
        results.push((index, work(engine, texts)));
    }
    Ok(results)
}

fn on_several_threads<E: DerefMut + Send, R: Send>(
    engines: &mut [E],
    chunks: &[&[&str]],
    work: &(impl Fn(&mut E::Target, &[&str]) -> Vec<Result<R, electra::Error>> + Sync),
) -> PyResult<Results<R>> {
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let take = |engine: &mut E| {
        let mut results = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(texts) = chunks.get(index) else { break };
            results.push((index, work(engine, texts)));
        }
        results
    };
    thread::scope(|scope| {
        let (done, all_done) = sync_channel::<()>(0);
        let mut threads = Vec::new();
        let mut outcome = Ok(());
        for engine in engines {
            // A thread that ends drops its sender.
            let (take, done) = (&take, done.clone());
            let started =
                thread::Builder::new().name("electra-batch".to_owned()).spawn_scoped(scope, move || {
                    let results = take(engine);
                    drop(done);
                    results
                });
            match started {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    stop.store(true, Ordering::Relaxed);
                    outcome = Err(PyOSError::new_err(format!("cannot start a thread: {error}")));
                    break;
                }
            }
        }
        drop(done);
        while all_done.recv_timeout(SIGNALS) == Err(RecvTimeoutError::Timeout) {
            if outcome.is_ok() {
                outcome = Python::attach(|py| py.check_signals());
                stop.store(outcome.is_err(), Ordering::Relaxed);
            }
        }
        let mut results = Vec::with_capacity(chunks.len());
        for thread in threads {
            match thread.join() {
                Ok(part) => results.extend(part),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        outcome.map(|()| results)
    })
}
