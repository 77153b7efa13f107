//! Numbers about the work of the service. The log and the metrics show them.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::pool::lock;

/// Upper bounds of the times to an answer that are counted together, in seconds.
pub(crate) const BOUNDS: [f64; 13] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// The figures of the whole service.
#[derive(Default)]
pub(crate) struct Figures {
    /// The line protocol.
    pub lines: DoorFigures,
    /// HTTP. These stay 0 if the door is not open.
    pub http: DoorFigures,
    /// MQTT. A connection is one to the broker.
    pub mqtt: DoorFigures,
    /// The checks of `--scrub`.
    pub scrub: ScrubFigures,
    texts: AtomicU64,
    tokens: AtomicU64,
}

/// The figures of one way into the service.
#[derive(Default)]
pub(crate) struct DoorFigures(Mutex<DoorCounts>);

/// The figures of the checks of the model in memory. Without `--scrub` they stay empty.
#[derive(Default)]
pub(crate) struct ScrubFigures {
    rounds: AtomicU64,
    damage: Mutex<Option<String>>,
}

/// A copy of the figures of one way into the service.
#[derive(Clone, Default)]
pub(crate) struct DoorCounts {
    /// Clients that have connected.
    pub connections: u64,
    /// Requests and connections that were refused, by the kind of the refusal.
    pub refusals: BTreeMap<&'static str, u64>,
    /// Answered requests by the time to the answer. The last count is of times above all bounds.
    pub times: [u64; BOUNDS.len() + 1],
    /// Sum of the times in seconds.
    pub seconds: f64,
}

impl Figures {
    /// Counts a text that the model has processed.
    pub(crate) fn process(&self, tokens: usize) {
        self.texts.fetch_add(1, Ordering::Relaxed);
        self.tokens.fetch_add(tokens as u64, Ordering::Relaxed);
    }

    /// Returns the number of texts that the model has processed, and of their tokens.
    #[cfg(feature = "http")]
    pub(crate) fn processed(&self) -> (u64, u64) {
        (self.texts.load(Ordering::Relaxed), self.tokens.load(Ordering::Relaxed))
    }

    /// Returns the line of the log for the end of the service.
    pub(crate) fn summary(&self) -> String {
        let doors = [&self.lines, &self.http, &self.mqtt].map(DoorFigures::counts);
        let sum = |count: fn(&DoorCounts) -> u64| -> u64 { doors.iter().map(count).sum() };
        let (clients, answers) = (sum(|door| door.connections), sum(DoorCounts::answers));
        let refusals = sum(|door| door.refusals.values().sum());
        format!("{clients} clients, {answers} requests answered, {refusals} refused")
    }
}

impl ScrubFigures {
    /// Counts a round that found no damage. Returns whether the model was damaged before.
    pub(crate) fn complete(&self) -> bool {
        self.rounds.fetch_add(1, Ordering::Relaxed);
        self.repair()
    }

    /// Notes that the model in use is damaged, and where.
    pub(crate) fn damage(&self, problem: String) {
        *lock(&self.damage) = Some(problem);
    }

    /// Notes that the model in use is intact. Returns whether it was damaged before.
    pub(crate) fn repair(&self) -> bool {
        lock(&self.damage).take().is_some()
    }

    /// Returns what is known to be damaged in the model in use.
    pub(crate) fn problem(&self) -> Option<String> {
        lock(&self.damage).clone()
    }

    /// Returns the number of rounds that found no damage.
    #[cfg(feature = "http")]
    pub(crate) fn rounds(&self) -> u64 {
        self.rounds.load(Ordering::Relaxed)
    }
}

impl DoorFigures {
    pub(crate) fn connect(&self) {
        lock(&self.0).connections += 1;
    }

    /// Counts a request that was answered after `time`.
    pub(crate) fn answer(&self, time: Duration) {
        let seconds = time.as_secs_f64();
        let bucket = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len());
        let mut counts = lock(&self.0);
        counts.times[bucket] += 1;
        counts.seconds += seconds;
    }

    pub(crate) fn refuse(&self, kind: &'static str) {
        *lock(&self.0).refusals.entry(kind).or_default() += 1;
    }

    pub(crate) fn counts(&self) -> DoorCounts {
        lock(&self.0).clone()
    }
}

impl DoorCounts {
    /// Returns the number of requests that were answered.
    pub(crate) fn answers(&self) -> u64 {
        self.times.iter().sum()
    }
}
