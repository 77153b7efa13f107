//! Clients to whom everything was said and who may not have noticed yet.
//!
//! Closing a socket that holds input that was not read, or that gets more afterwards, resets the
//! connection: a client that is still writing gets an error instead of the last line that it was
//! sent. So its connection is only half closed, and what it still sends is read and dropped, until
//! it closes its end or its time is over.

use std::io::{self, ErrorKind};
use std::time::Instant;

use mio::{Interest, Registry, Token};

use super::LAST_ROUNDS;
use super::listener::Stream;

/// Connections that are kept so at a time; for one more the oldest is closed. Each costs a
/// descriptor.
const MOST: usize = 256;
/// Reads of each connection in one round.
const CHUNKS_A_ROUND: usize = 4;

/// The connections that are half closed.
#[derive(Default)]
pub(crate) struct Farewells {
    slots: Vec<Option<Farewell>>,
}

struct Farewell {
    stream: Box<dyn Stream>,
    readable: bool,
    until: Instant,
    /// Rounds since its time was over.
    last_rounds: u32,
}

impl Farewells {
    /// Half closes a connection that is not registered with the poll, whose output was written.
    /// `first_token` and those after it are for the streams here.
    pub(crate) fn add(
        &mut self,
        registry: &Registry,
        first_token: usize,
        stream: Box<dyn Stream>,
        until: Instant,
    ) {
        let mut farewell = Farewell { stream, readable: true, until, last_rounds: 0 };
        if farewell.stream.end_output().is_err() {
            // The client is gone.
            return;
        }
        if self.slots.iter().flatten().count() >= MOST {
            self.close_oldest();
        }
        let free = self.slots.iter().position(Option::is_none);
        let index = free.unwrap_or(self.slots.len());
        let token = Token(first_token + index);
        if registry.register(&mut *farewell.stream, token, Interest::READABLE).is_err() {
            return;
        }
        match free {
            Some(index) => self.slots[index] = Some(farewell),
            None => self.slots.push(Some(farewell)),
        }
    }

    /// Something has come, or the client has closed its end.
    pub(crate) fn note(&mut self, index: usize) {
        if let Some(Some(farewell)) = self.slots.get_mut(index) {
            farewell.readable = true;
        }
    }

    /// Drops what has come, and closes the connections whose clients have closed theirs or whose
    /// time was over before `seen_until`, if that is given and all that came until then was read;
    /// whether there is more to read.
    pub(crate) fn advance(&mut self, chunk: &mut [u8], seen_until: Option<Instant>) -> bool {
        let mut again = false;
        for slot in &mut self.slots {
            let Some(farewell) = slot else { continue };
            let due = seen_until.is_some_and(|seen_until| farewell.until <= seen_until);
            if farewell.drain(chunk).is_err() || (due && farewell.was_heard_out()) {
                // Closing a descriptor ends its registration, too.
                *slot = None;
            } else {
                again |= farewell.readable;
            }
        }
        again
    }

    /// Closes the connection that has been here for the longest; whether there was one.
    pub(crate) fn close_oldest(&mut self) -> bool {
        let until = |slot: &&mut Option<Farewell>| slot.as_ref().map(|farewell| farewell.until);
        let oldest = self.slots.iter_mut().filter(|slot| slot.is_some()).min_by_key(until);
        oldest.and_then(Option::take).is_some()
    }

    /// Lets nobody stay for longer than until `end`.
    pub(crate) fn hurry(&mut self, end: Instant) {
        for farewell in self.slots.iter_mut().flatten() {
            farewell.until = farewell.until.min(end);
        }
    }

    /// When the first one's time is over.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.slots.iter().flatten().map(|farewell| farewell.until).min()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slots.iter().all(Option::is_none)
    }
}

impl Farewell {
    /// Whether everything was read that the client has sent; of one who never ends, enough.
    fn was_heard_out(&mut self) -> bool {
        self.last_rounds += 1;
        !self.readable || self.last_rounds > LAST_ROUNDS
    }

    /// Reads for a round.
    ///
    /// # Errors
    /// When the client has closed its end, or is gone.
    fn drain(&mut self, chunk: &mut [u8]) -> io::Result<()> {
        for _ in 0..CHUNKS_A_ROUND {
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
