//! Measures the kinds of work of a run (feature `internals`).

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use electra_core::{Stopwatch, Work};

/// Calls without work, whose mean duration is that of a measurement.
const EMPTY_CALLS: u32 = 256;

/// Adds up the durations of calls.
#[derive(Default)]
pub(super) struct WorkTimes(Mutex<State>);

#[derive(Default)]
struct State {
    started: Option<Instant>,
    times: [Duration; Work::ALL.len()],
    calls: [u32; Work::ALL.len()],
}

impl Stopwatch for WorkTimes {
    fn start(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.started = Some(Instant::now());
    }

    fn stop(&self, work: Work) {
        let end = Instant::now();
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let time = state.started.take().map_or(Duration::ZERO, |start| end - start);
        state.times[work as usize] += time;
        state.calls[work as usize] += 1;
    }
}

impl WorkTimes {
    /// Returns the duration of each kind of work, without that of the measurements.
    pub(super) fn finish(self) -> Vec<(Work, Duration)> {
        let overhead = Self::overhead();
        let State { times, calls, .. } = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        let durations = times.iter().zip(calls).map(|(time, calls)| time.saturating_sub(overhead * calls));
        Work::ALL.into_iter().zip(durations).collect()
    }

    fn overhead() -> Duration {
        let empty = Self::default();
        for _ in 0..EMPTY_CALLS {
            empty.start();
            empty.stop(Work::Products);
        }
        let state = empty.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        state.times[Work::Products as usize] / EMPTY_CALLS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_counts_for_its_work() {
        let times = WorkTimes::default();
        times.start();
        std::thread::sleep(Duration::from_millis(3));
        times.stop(Work::Softmax);
        times.start();
        times.stop(Work::Gelu);
        let found = times.finish();
        assert_eq!(found.iter().map(|(work, _)| *work).collect::<Vec<_>>(), Work::ALL);
        for (work, time) in found {
            assert_eq!(time >= Duration::from_millis(2), work == Work::Softmax, "{work:?} {time:?}");
        }
    }
}
