//! Messages from other threads to the thread that controls the service.

use std::path::PathBuf;
use std::sync::Mutex;
use std::thread;

use super::log;
use super::pool::{Ticket, lock};
use super::protocol::Refusal;
use crate::failure::Failure;

/// A message to the controlling thread.
pub(crate) enum Report {
    /// The line that answers a request of a connection, or the reason why there is none.
    Answer { connection: usize, ticket: Ticket, line: Result<String, Refusal> },
    /// Result of a reload: the path of the model in use, or the problem with the new model.
    Reload(Result<PathBuf, Failure>),
    /// The new model failed on one of its first texts, and the workers use the one before again.
    WentBack { problem: String },
    /// A scrub has found that the model in use is damaged.
    Damaged(String),
    /// A scrub has found that the model in use is intact again.
    Intact,
    /// A thread has panicked, which is a defect.
    Lost,
}

/// Messages that the controlling thread has not read yet. Each message wakes its poll.
pub(crate) struct Mailbox {
    reports: Mutex<Vec<Report>>,
    waker: mio::Waker,
}

impl Mailbox {
    pub(crate) fn new(waker: mio::Waker) -> Self {
        Self { reports: Mutex::default(), waker }
    }

    pub(crate) fn post(&self, report: Report) {
        lock(&self.reports).push(report);
        self.wake();
    }

    /// Wakes the controlling thread without a message.
    pub(crate) fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            log(format_args!("poll: {error}"));
        }
    }

    /// Returns the messages since the last call.
    pub(crate) fn take(&self) -> Vec<Report> {
        std::mem::take(&mut *lock(&self.reports))
    }
}

/// Posts [`Report::Lost`] if its thread panics.
pub(crate) struct Guard<'a>(pub &'a Mailbox);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.post(Report::Lost);
        }
    }
}
