//! Time limits of a connection, and the stream that keeps them up to date.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// Longest time from the first byte of a request to its last, if the idle time is not shorter.
const ARRIVAL_TIME: Duration = Duration::from_secs(30);

/// The phases of a connection. The clock notes when each one began.
#[derive(Clone, Copy, PartialEq)]
enum Phase {
    /// The connection waits for a request, or for the client to read an answer.
    Waiting,
    /// A part of a request has arrived.
    Arriving,
    /// A request is being processed. The handler has limits of its own.
    Answering,
}

/// The clock of a connection. As in the line protocol, the idle time starts at the last answer, and
/// again whenever the client reads a part of it.
pub(super) struct Clock {
    phase: Cell<Phase>,
    since: Cell<Instant>,
    /// Whether a part of an answer waits until the client reads.
    is_writing: Cell<bool>,
    idle: Option<Duration>,
}

impl Clock {
    pub(super) fn new(idle: Option<Duration>) -> Self {
        let (phase, since) = (Cell::new(Phase::Waiting), Cell::new(Instant::now()));
        Self { phase, since, is_writing: Cell::new(false), idle }
    }

    fn enter(&self, phase: Phase) {
        self.phase.set(phase);
        self.since.set(Instant::now());
    }

    /// Notes that the head of a request has arrived. Returns the time limit for its body.
    pub(super) fn begin_answer(&self) -> Instant {
        let arriving_since = match self.phase.get() {
            Phase::Arriving => self.since.get(),
            // The request arrived together with an earlier one.
            Phase::Waiting | Phase::Answering => Instant::now(),
        };
        self.enter(Phase::Answering);
        arriving_since + self.arrival_time()
    }

    /// Notes that the answer is known.
    pub(super) fn end_answer(&self) {
        self.enter(Phase::Waiting);
    }

    /// Returns whether a request is being processed or its answer is being written.
    pub(super) fn is_busy(&self) -> bool {
        self.phase.get() == Phase::Answering || self.is_writing.get()
    }

    /// Returns when the connection must be closed.
    pub(super) fn due(&self) -> Option<Instant> {
        match self.phase.get() {
            Phase::Waiting => self.idle.map(|idle| self.since.get() + idle),
            Phase::Arriving => Some(self.since.get() + self.arrival_time()),
            Phase::Answering => None,
        }
    }

    fn arrival_time(&self) -> Duration {
        self.idle.map_or(ARRIVAL_TIME, |idle| idle.min(ARRIVAL_TIME))
    }

    fn note_read(&self) {
        if self.phase.get() == Phase::Waiting {
            self.enter(Phase::Arriving);
        }
    }

    fn note_write(&self) {
        if self.phase.get() != Phase::Answering {
            self.since.set(Instant::now());
        }
    }
}

/// A stream that tells its clock what happens.
pub(super) struct Timed {
    pub stream: TcpStream,
    pub clock: Rc<Clock>,
}

impl AsyncRead for Timed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.clock.note_read();
        }
        outcome
    }
}

impl Timed {
    fn note_write(&self, outcome: &Poll<io::Result<usize>>) {
        self.clock.is_writing.set(outcome.is_pending());
        if matches!(outcome, Poll::Ready(Ok(written)) if *written > 0) {
            self.clock.note_write();
        }
    }
}

impl AsyncWrite for Timed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.note_write(&outcome);
        outcome
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.note_write(&outcome);
        outcome
    }

    /// hyper then writes bodies without a copy.
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
