//! Half-closed connections, which have received their last line.
//!
//! If a socket is closed while it holds unread input, or if input arrives afterwards, the
//! connection is reset. A client that is still writing then gets an error instead of the last line.
//! The connection is therefore only half closed, and its input is read and dropped until the client
//! closes its end or a time limit is reached.

use std::io::{self, ErrorKind};
use std::time::Instant;

use mio::{Interest, Registry, Token};

use super::LAST_ROUNDS;
use super::listener::Stream;

/// Largest number of half-closed connections. For one more, the oldest is closed. Each needs a file
/// descriptor.
const MOST: usize = 256;
/// Reads per connection and round.
const CHUNKS_PER_ROUND: usize = 4;

/// The connections that are half closed.
#[derive(Default)]
pub(crate) struct HalfClosed {
    slots: Vec<Option<HalfClosedConnection>>,
}

struct HalfClosedConnection {
    stream: Box<dyn Stream>,
    readable: bool,
    until: Instant,
    /// Rounds of reading since `until`.
    last_rounds: u32,
}

impl HalfClosed {
    /// Half-closes a connection. It must not be registered with the poll, and its output must be
    /// written. The streams here use `first_token` and the tokens after it.
    pub(crate) fn add(
        &mut self,
        registry: &Registry,
        first_token: usize,
        stream: Box<dyn Stream>,
        until: Instant,
    ) {
        let mut connection = HalfClosedConnection { stream, readable: true, until, last_rounds: 0 };
        if connection.stream.end_output().is_err() {
            // The connection is broken.
            return;
        }
        if self.slots.iter().flatten().count() >= MOST {
            self.close_oldest();
        }
        let free = self.slots.iter().position(Option::is_none);
        let index = free.unwrap_or(self.slots.len());
        let token = Token(first_token + index);
        if registry.register(&mut *connection.stream, token, Interest::READABLE).is_err() {
            return;
        }
        match free {
            Some(index) => self.slots[index] = Some(connection),
            None => self.slots.push(Some(connection)),
        }
    }

    /// Notes that input has arrived or the client has closed its end.
    pub(crate) fn note(&mut self, index: usize) {
        if let Some(Some(connection)) = self.slots.get_mut(index) {
            connection.readable = true;
        }
    }

    /// Reads and drops input. Closes each connection if its client has closed it, or if its time
    /// ended before `seen_until` and all input until then was read. If `seen_until` is `None`, no
    /// time ends. Returns whether there is more to read.
    pub(crate) fn advance(&mut self, chunk: &mut [u8], seen_until: Option<Instant>) -> bool {
        let mut again = false;
        for slot in &mut self.slots {
            let Some(connection) = slot else { continue };
            let due = seen_until.is_some_and(|seen_until| connection.until <= seen_until);
            if connection.drain(chunk).is_err() || (due && connection.is_drained()) {
                // Closing a file descriptor also removes its registration.
                *slot = None;
            } else {
                again |= connection.readable;
            }
        }
        again
    }

    /// Closes the connection with the earliest time limit. Returns whether there was one.
    pub(crate) fn close_oldest(&mut self) -> bool {
        let until = |slot: &&mut Option<HalfClosedConnection>| slot.as_ref().map(|it| it.until);
        let oldest = self.slots.iter_mut().filter(|slot| slot.is_some()).min_by_key(until);
        oldest.and_then(Option::take).is_some()
    }

    /// Limits the time of all connections to `end`.
    pub(crate) fn limit_time(&mut self, end: Instant) {
        for connection in self.slots.iter_mut().flatten() {
            connection.until = connection.until.min(end);
        }
    }

    /// Returns the earliest time limit.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.slots.iter().flatten().map(|connection| connection.until).min()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slots.iter().all(Option::is_none)
    }
}

impl HalfClosedConnection {
    /// Counts a round after the time limit. Returns whether the connection can be closed, because
    /// all input was read or it had more than [`LAST_ROUNDS`] rounds.
    fn is_drained(&mut self) -> bool {
        self.last_rounds += 1;
        !self.readable || self.last_rounds > LAST_ROUNDS
    }

    /// Reads and drops input for one round.
    ///
    /// # Errors
    /// Fails if the client has closed its end or the connection is broken.
    fn drain(&mut self, chunk: &mut [u8]) -> io::Result<()> {
        for _ in 0..CHUNKS_PER_ROUND {
            if !self.readable {
                break;
            }
            match self.stream.read(chunk) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.readable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
