//! Threads that share the steps of one run.
//!
//! They are started once. Between steps, which follow each other within microseconds, they wait in
//! a loop. After a longer wait they sleep, so an idle engine costs no processor time. Handing out a
//! step allocates nothing.
//!
//! Any thread may take any part of a step. If another program occupies the processor that a thread
//! needs, the caller does that thread's part instead of waiting for it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use electra_core::{MAX_WORKERS, Team};

use crate::error::Error;

/// Rounds of waiting in a loop before a thread yields its processor.
const ROUNDS_BEFORE_YIELD: u32 = 2_000;
/// Rounds of waiting before a thread sleeps.
const ROUNDS_BEFORE_SLEEP: u32 = 10_000;

/// The calling thread and the threads of the pool.
pub(super) struct Threads {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

type Task<'a> = dyn Fn(usize) + Sync + 'a;

struct Shared {
    /// Number of tasks handed out; threads wait for it to change.
    round: AtomicUsize,
    job: Mutex<Job>,
    /// Parts of the job that are not finished.
    unfinished: AtomicUsize,
    stop: AtomicBool,
    turn: Mutex<()>,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    /// Whether a thread sleeps that has not been woken yet.
    sleeping: Mutex<bool>,
    woken: Condvar,
}

/// The task at hand, and one bit for each of its parts that no thread has taken.
struct Job {
    task: Option<&'static Task<'static>>,
    parts: u32,
}

const _: () = assert!(MAX_WORKERS <= u32::BITS as usize);

impl Threads {
    /// Starts `count - 1` threads, which make `count` with the caller's thread. If `pinned`, each
    /// of these threads runs on a core of its own, the caller's included.
    pub(super) fn new(count: usize, pinned: bool) -> Result<Self, Error> {
        if count == 0 || count > MAX_WORKERS {
            return Err(Error::Threads { found: count, max: MAX_WORKERS });
        }
        let cores = if pinned { core_affinity::get_core_ids().unwrap_or_default() } else { Vec::new() };
        let pin = |index: usize| cores.get(index).is_none_or(|core| core_affinity::set_for_current(*core));
        if pinned && (cores.len() < count || !pin(0)) {
            return Err(Error::Pinning { threads: count, cores: cores.len() });
        }
        let shared = Arc::new(Shared {
            round: AtomicUsize::new(0),
            job: Mutex::new(Job { task: None, parts: 0 }),
            unfinished: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            turn: Mutex::new(()),
            panic: Mutex::new(None),
            sleeping: Mutex::new(false),
            woken: Condvar::new(),
        });
        let mut team = Self { shared, threads: Vec::with_capacity(count - 1) };
        for index in 1..count {
            let (shared, core) = (team.shared.clone(), cores.get(index).copied());
            let work = move || {
                if let Some(core) = core {
                    core_affinity::set_for_current(core);
                }
                shared.work(index);
            };
            let thread = thread::Builder::new().name(format!("electra-{index}")).spawn(work);
            team.threads.push(thread.map_err(Error::Thread)?);
        }
        Ok(team)
    }

    /// Calls `task` with each number below `parts`.
    fn run(&self, parts: usize, task: &Task<'_>) {
        let shared = &*self.shared;
        // Only one job runs at a time, whichever thread calls.
        let _turn = lock(&shared.turn);
        // SAFETY: the lifetime only seems to grow. A thread uses the reference only between taking
        // a part and subtracting it from `unfinished`. This function returns when no part is left
        // to take and none is unfinished. It does not unwind before that, since panics of the task
        // are caught.
        #[allow(unsafe_code)]
        let task = unsafe { std::mem::transmute::<&Task<'_>, &'static Task<'static>>(task) };
        shared.unfinished.store(parts, Ordering::Relaxed);
        *lock(&shared.job) = Job { task: Some(task), parts: u32::MAX >> (u32::BITS as usize - parts) };
        shared.round.fetch_add(1, Ordering::Release);
        shared.wake();
        shared.take_parts(0);
        let mut waited = 0;
        while shared.unfinished.load(Ordering::Acquire) > 0 {
            waited = wait(waited);
        }
        if let Some(panic) = lock(&shared.panic).take() {
            resume_unwind(panic);
        }
    }
}

impl Shared {
    /// Runs the loop of one thread for as long as the engine exists.
    fn work(&self, index: usize) {
        let mut seen = 0;
        loop {
            let mut waited = 0;
            while self.round.load(Ordering::Acquire) == seen {
                waited = wait(waited);
                if waited > ROUNDS_BEFORE_SLEEP {
                    self.sleep(seen);
                    waited = 0;
                }
            }
            seen = self.round.load(Ordering::Acquire);
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            self.take_parts(index);
        }
    }

    /// Does parts of the job at hand, `preferred` first, until none is left to take.
    fn take_parts(&self, preferred: usize) {
        loop {
            // A `while let` would hold the lock during the work.
            let Some((task, part)) = lock(&self.job).take(preferred) else { return };
            // A panic is passed on to the caller, after all parts are finished.
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| task(part))) {
                *lock(&self.panic) = Some(panic);
            }
            self.unfinished.fetch_sub(1, Ordering::Release);
        }
    }

    fn sleep(&self, seen: usize) {
        let mut sleeping = lock(&self.sleeping);
        // `round` changes before `wake` reads `sleeping`. So either this thread sees the change, or
        // `wake` sees that this thread sleeps.
        while self.round.load(Ordering::Acquire) == seen {
            *sleeping = true;
            sleeping = self.woken.wait(sleeping).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Wakes the sleeping threads, only once per sleep: waking can take longer than a step.
    fn wake(&self) {
        if std::mem::take(&mut *lock(&self.sleeping)) {
            self.woken.notify_all();
        }
    }
}

impl Job {
    fn take(&mut self, preferred: usize) -> Option<(&'static Task<'static>, usize)> {
        if self.parts == 0 {
            self.task = None;
        }
        let task = self.task?;
        let is_left = self.parts >> preferred & 1 == 1;
        let part = if is_left { preferred } else { self.parts.trailing_zeros() as usize };
        self.parts &= !(1 << part);
        Some((task, part))
    }
}

/// Waits for one round and returns the number of rounds so far.
fn wait(waited: u32) -> u32 {
    if waited < ROUNDS_BEFORE_YIELD {
        std::hint::spin_loop();
    } else {
        thread::yield_now();
    }
    waited.saturating_add(1)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.shared.round.fetch_add(1, Ordering::Release);
        self.shared.wake();
        for thread in self.threads.drain(..) {
            // A thread ends by returning; its panics were passed to the caller.
            let _ = thread.join();
        }
    }
}

impl Team for Threads {
    fn workers(&self) -> usize {
        self.threads.len() + 1
    }

    fn for_each<P: Send>(&self, parts: &mut [P], task: impl Fn(&mut P) + Sync) {
        if parts.len() <= 1 {
            return parts.iter_mut().for_each(task);
        }
        let count = parts.len();
        let mut parts = parts.iter_mut();
        let parts: [Mutex<Option<&mut P>>; MAX_WORKERS] = std::array::from_fn(|_| Mutex::new(parts.next()));
        self.run(count, &|index| {
            if let Some(part) = parts.get(index).and_then(|part| lock(part).take()) {
                task(part);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::time::Duration;

    use super::*;

    fn threads(count: usize) -> Threads {
        Threads::new(count, false).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Fewer rounds for Miri, which finds races and dangling references but is slow.
    const ROUNDS: usize = if cfg!(miri) { 8 } else { 3000 };

    #[test]
    fn every_part_is_done_once() {
        for count in [1, 2, 3, MAX_WORKERS] {
            let team = threads(count);
            assert_eq!(team.workers(), count);
            for round in 0..ROUNDS {
                let mut parts: Vec<(usize, usize)> = (0..1 + round % count).map(|part| (part, 0)).collect();
                let step = Box::new(round);
                team.for_each(&mut parts, |(part, sum)| *sum += *part + *step);
                assert!(parts.iter().all(|(part, sum)| *sum == part + round), "{parts:?}");
            }
        }
    }

    #[test]
    fn sleeping_threads_are_woken() {
        let team = threads(3);
        for _ in 0..3 {
            thread::sleep(Duration::from_millis(if cfg!(miri) { 1 } else { 30 }));
            let mut parts = [0; 3];
            team.for_each(&mut parts, |part| *part += 1);
            assert_eq!(parts, [1; 3]);
        }
    }

    #[test]
    fn a_panic_reaches_the_caller() {
        let team = threads(3);
        for culprit in 0..3 {
            let mut parts = [0, 1, 2];
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                team.for_each(&mut parts, |part| assert_ne!(*part, culprit, "on purpose"));
            }));
            assert!(outcome.is_err());
            let mut parts = [1; 3];
            team.for_each(&mut parts, |part| *part += 1);
            assert_eq!(parts, [2; 3]);
        }
    }
}
