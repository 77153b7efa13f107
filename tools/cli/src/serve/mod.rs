//! The daemon behind `electra serve`: one thread for all clients, and workers that classify.
//!
//! Memory is bounded by the limits and nothing else: a connection has one request under way at most, its further lines
//! wait in the socket, and an answer that the client does not read holds back its own connection only.

mod connection;
mod listener;
mod pool;
mod server;
mod signals;
mod systemd;

use std::fmt::{self, Display};
use std::io::{self, Write};

pub(crate) use listener::Listener;
pub(crate) use pool::{Loader, Pool};
pub(crate) use server::{Limits, Server};
pub(crate) use signals::Signals;
pub(crate) use systemd::Systemd;

/// Why a request, or a whole connection, has no label.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Refusal {
    /// The queue is full.
    Busy { waiting: usize },
    /// The daemon has all the connections that it takes. Closes the connection.
    Connections { most: usize },
    /// No answer in time.
    Deadline { seconds: f64 },
    /// No whole line came, or answers were not read, for too long. Closes the connection.
    Idle { seconds: f64 },
    /// A line that is too long; the rest of it is skipped.
    Line { most: usize },
    /// The model could not be run on this text.
    Run(String),
    /// The daemon is about to end. Closes the connection.
    Stopping,
    /// The line is no UTF-8 from this byte on.
    Utf8 { at: usize },
}

impl Refusal {
    /// The line to answer with, without its end.
    pub(crate) fn render(&self, json: bool) -> String {
        if json {
            serde_json::json!({ "error": self.kind(), "message": self.to_string() }).to_string()
        } else {
            format!("error {}: {self}", self.kind())
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Busy { .. } => "busy",
            Self::Connections { .. } => "connections",
            Self::Deadline { .. } => "deadline",
            Self::Idle { .. } => "idle",
            Self::Line { .. } => "line",
            Self::Run(_) => "run",
            Self::Stopping => "stopping",
            Self::Utf8 { .. } => "utf8",
        }
    }
}

impl Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy { waiting } => write!(f, "{waiting} requests wait already, try again"),
            Self::Connections { most } => write!(f, "{most} clients are connected already"),
            Self::Deadline { seconds } => write!(f, "no answer within {seconds} s"),
            Self::Idle { seconds } => write!(f, "no whole line within {seconds} s"),
            Self::Line { most } => write!(f, "more than {most} bytes found in a line"),
            Self::Run(message) => f.write_str(message),
            Self::Stopping => f.write_str("the daemon ends, try again later"),
            Self::Utf8 { at } => write!(f, "invalid UTF-8 found at byte {at}, expected text"),
        }
    }
}

/// Writes a line to standard error, which is the journal under systemd. A log that cannot be written ends nothing.
pub(crate) fn log(message: impl Display) {
    drop(writeln!(io::stderr(), "electra: {message}"));
}
