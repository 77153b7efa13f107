//! Converts signals to flags and wakes the poll.

use std::io::{self, Read};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mio::net::UnixStream;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::{flag, low_level};

/// SIGTERM and SIGINT stop the daemon; SIGHUP reloads the model.
pub(crate) struct Signals {
    stop: Arc<AtomicBool>,
    reload: Arc<AtomicBool>,
    /// Receives one byte per signal.
    pub pipe: UnixStream,
}

impl Signals {
    /// Installs the handlers. After that, these signals do not end the process.
    ///
    /// # Errors
    /// Fails if the system has no file descriptors left.
    pub(crate) fn install() -> io::Result<Self> {
        let (reader, writer) = StdUnixStream::pair()?;
        reader.set_nonblocking(true)?;
        let (stop, reload) = (Arc::default(), Arc::default());
        // The flag is set first, so that it is visible when the poll wakes.
        for (signal, set) in [(SIGTERM, &stop), (SIGINT, &stop), (SIGHUP, &reload)] {
            flag::register(signal, Arc::clone(set))?;
            low_level::pipe::register(signal, writer.try_clone()?)?;
        }
        Ok(Self { stop, reload, pipe: UnixStream::from_std(reader) })
    }

    /// Empties the pipe, so that the next signal wakes the poll again.
    pub(crate) fn drain(&mut self) {
        let mut bytes = [0; 64];
        while self.pipe.read(&mut bytes).is_ok_and(|read| read > 0) {}
    }

    /// Returns whether a stop was requested since the last call.
    pub(crate) fn take_stop(&self) -> bool {
        self.stop.swap(false, Ordering::Relaxed)
    }

    /// Returns whether a reload was requested since the last call.
    pub(crate) fn take_reload(&self) -> bool {
        self.reload.swap(false, Ordering::Relaxed)
    }
}
