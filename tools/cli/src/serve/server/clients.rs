//! Accepts clients and closes their connections.

use std::io::{ErrorKind, Write};
use std::time::Instant;

use mio::{Interest, Token};

use super::{FIRST_CONNECTION, FIRST_HALF_CLOSED, Server};
use crate::serve::connection::{Connection, Pending};
use crate::serve::listener::Stream;
use crate::serve::protocol::{Id, Refusal};
use crate::serve::{ACCEPT_PAUSE, CLOSING_TIME, LAST_CLOSING_TIME, log};

/// Largest number of clients accepted per round.
const CLIENTS_PER_ROUND: usize = 64;

impl Server {
    /// Accepts clients that wait. Returns whether there were any.
    pub(super) fn accept(&mut self, now: Instant) -> bool {
        let mut any = false;
        // The client is held until a poll has reported all clients that left before.
        if (self.all_seen || self.end.is_some())
            && let Some(stream) = self.held.take()
        {
            self.admit(stream, now);
            any = true;
        }
        if self.held.is_some() {
            return true;
        }
        if now < self.accept_from {
            return any;
        }
        for _ in 0..CLIENTS_PER_ROUND {
            let Some(index) = self.waiting.iter().position(|waiting| *waiting) else { return any };
            match self.listeners[index].accept() {
                Ok(stream) if self.is_full() => {
                    self.held = Some(stream);
                    return true;
                }
                Ok(stream) => {
                    self.admit(stream, now);
                    any = true;
                }
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => self.waiting[index] = false,
                    ErrorKind::Interrupted | ErrorKind::ConnectionAborted => {}
                    // The system may have no file descriptor left. Half-closed connections are
                    // closed first.
                    _ if self.half_closed.close_oldest() => {}
                    _ => {
                        log(format_args!("{}: {error}", self.listeners[index].name()));
                        self.accept_from = now + ACCEPT_PAUSE;
                        return any;
                    }
                },
            }
        }
        any
    }

    fn is_full(&self) -> bool {
        self.connections.len() >= self.service.limits.connections
            && self.connections.iter().all(Option::is_some)
    }

    fn admit(&mut self, mut stream: Box<dyn Stream>, now: Instant) {
        let most = self.service.limits.connections;
        self.service.figures.lines.connect();
        let index = match self.connections.iter().position(Option::is_none) {
            Some(index) => index,
            None if self.connections.len() < most => {
                self.connections.push(None);
                self.connections.len() - 1
            }
            None => {
                let refusal = Refusal::Connections { most };
                self.service.figures.lines.refuse(refusal.kind());
                let line = self.protocol.refuse(&Id::Null, &refusal);
                // The buffer of a new socket has room for a line.
                drop(stream.write(format!("{line}\n").as_bytes()));
                self.half_close(stream, now);
                return;
            }
        };
        let interest = Interest::READABLE | Interest::WRITABLE;
        match self.poll.registry().register(&mut *stream, Token(FIRST_CONNECTION + index), interest) {
            Ok(()) => self.connections[index] = Some(Connection::new(stream, now)),
            Err(error) => log(format_args!("a client was turned away: {error}")),
        }
    }

    /// Ends a connection. Its client still receives everything that was written.
    pub(super) fn close_gracefully(&mut self, index: usize, now: Instant) {
        let connection = self.close(index).filter(|connection| !connection.has_ended());
        if let Some(connection) = connection {
            self.half_close(connection.into_stream(), now);
        }
    }

    fn half_close(&mut self, stream: Box<dyn Stream>, now: Instant) {
        let time = if self.end.is_some() { LAST_CLOSING_TIME } else { CLOSING_TIME };
        self.half_closed.add(self.poll.registry(), FIRST_HALF_CLOSED, stream, now + time);
    }

    /// Removes a connection and returns it. Dropping it closes the socket.
    pub(super) fn close(&mut self, index: usize) -> Option<Connection> {
        let mut connection = self.connections.get_mut(index)?.take()?;
        if let Some(Pending { ticket, .. }) = connection.pending {
            self.service.pool.withdraw(ticket);
        }
        // Deregistering fails only for a closed file descriptor.
        drop(self.poll.registry().deregister(connection.stream()));
        Some(connection)
    }
}
