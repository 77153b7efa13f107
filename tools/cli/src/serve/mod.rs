//! The daemon of `electra serve`: one thread serves all clients, and workers classify.
//!
//! The limits bound the memory. A connection has at most one request in progress, and its further
//! lines wait in the socket. A client that does not read its answer delays only its own connection.

mod connection;
mod half_closed;
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

/// Rounds of reading after a time limit. They read 8 MiB, which is more than a socket buffers.
const LAST_ROUNDS: u32 = 128;

/// Writes a line to standard error, which is the journal under systemd. Write errors are ignored.
pub(crate) fn log(message: impl Display) {
    drop(writeln!(io::stderr(), "electra: {message}"));
}
