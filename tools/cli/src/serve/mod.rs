//! The daemon behind `electra serve`: one thread for all clients, and workers that classify.
//!
//! Memory is bounded by the limits and nothing else: a connection has one request under way at most, its further lines
//! wait in the socket, and an answer that the client does not read holds back its own connection only.

mod connection;
mod farewell;
mod listener;
mod pool;
mod protocol;
mod server;
mod signals;
mod systemd;

use std::fmt::Display;
use std::io::{self, Write};

pub(crate) use listener::Listener;
pub(crate) use pool::{Loader, Pool};
pub(crate) use protocol::Protocol;
pub(crate) use server::{Limits, Server};
pub(crate) use signals::Signals;
pub(crate) use systemd::Systemd;

/// Rounds of reading after a timer has run out: eight megabytes, more than lies in a socket.
const LAST_ROUNDS: u32 = 128;

/// Writes a line to standard error, which is the journal under systemd. A log that cannot be written ends nothing.
pub(crate) fn log(message: impl Display) {
    drop(writeln!(io::stderr(), "electra: {message}"));
}
