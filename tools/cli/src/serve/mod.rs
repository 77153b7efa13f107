//! The daemon of `electra serve`: threads that serve clients, and workers.
//!
//! One thread serves the clients of the line protocol and controls the service. A [`Door`] serves
//! other clients in a thread of its own. All of them share the queue and the workers. With
//! `--scrub`, another thread checks the model in memory.
//!
//! The limits bound the memory. A connection has at most one request in progress, and its further
//! lines wait in the socket. A client that does not read its answer delays only its own connection.

mod connection;
mod door;
mod figures;
mod half_closed;
#[cfg(feature = "http")]
mod http;
mod listener;
mod loader;
mod mailbox;
#[cfg(feature = "mqtt")]
mod mqtt;
mod pool;
mod protocol;
mod scrub;
mod server;
mod signals;
mod systemd;

use std::fmt::Display;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

pub(crate) use door::Door;
pub(crate) use figures::Figures;
#[cfg(feature = "http")]
pub(crate) use http::{Http, HttpOptions, read_token};
pub(crate) use listener::Listener;
pub(crate) use loader::Loader;
pub(crate) use mailbox::Mailbox;
#[cfg(feature = "mqtt")]
pub(crate) use mqtt::{Mqtt, MqttOptions, default_client_id, is_fed_back, read_password};
pub(crate) use pool::Pool;
pub(crate) use protocol::Protocol;
pub(crate) use scrub::start as start_scrub;
pub(crate) use server::Server;
pub(crate) use signals::Signals;
pub(crate) use systemd::Systemd;

/// Rounds of reading after a time limit. They read 8 MiB, which is more than a socket buffers.
const LAST_ROUNDS: u32 = 128;
/// Time in which a client can notice that its connection is closed.
const CLOSING_TIME: Duration = Duration::from_secs(5);
/// The same time while the service stops. It starts after the last deadline.
const LAST_CLOSING_TIME: Duration = Duration::from_secs(1);
/// Pause before clients are accepted again after the system had no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// State that the line protocol and the other doors share.
pub(crate) struct Service {
    pub pool: Pool,
    pub mailbox: Arc<Mailbox>,
    pub figures: Arc<Figures>,
    pub limits: Limits,
}

/// Limits for clients.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// Largest number of connected clients per door.
    pub connections: usize,
    /// Longest line or text in bytes, without its line ending.
    pub line_bytes: usize,
    /// Longest time from a request to its answer.
    pub deadline: Duration,
    /// Longest time without a whole request from the client or without reading of an answer; `None`
    /// for no limit.
    pub idle: Option<Duration>,
}

/// Writes a line to standard error, which is the journal under systemd. Write errors are ignored.
pub(crate) fn log(message: impl Display) {
    drop(writeln!(io::stderr(), "electra: {message}"));
}
