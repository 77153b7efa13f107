//! Signals as flags, and as something that a poll wakes up for.

use std::io::{self, Read};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mio::net::UnixStream;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::{flag, low_level};

/// SIGTERM and SIGINT, which stop, and SIGHUP, which reloads.
pub(crate) struct Signals {
    stop: Arc<AtomicBool>,
    reload: Arc<AtomicBool>,
    /// Gets a byte with each signal.
    pub pipe: UnixStream,
}

impl Signals {
    /// From here on these signals no longer end the process.
    ///
    /// # Errors
    /// When the system has no descriptors left.
    pub(crate) fn install() -> io::Result<Self> {
        let (reader, writer) = StdUnixStream::pair()?;
        reader.set_nonblocking(true)?;
        let (stop, reload) = (Arc::default(), Arc::default());
        // The flag first: who is woken must find it.
        for (signal, set) in [(SIGTERM, &stop), (SIGINT, &stop), (SIGHUP, &reload)] {
            flag::register(signal, Arc::clone(set))?;
            low_level::pipe::register(signal, writer.try_clone()?)?;
        }
        Ok(Self { stop, reload, pipe: UnixStream::from_std(reader) })
    }

    /// Empties the pipe, so that the next signal wakes again.
    pub(crate) fn drain(&mut self) {
        let mut bytes = [0; 64];
        while self.pipe.read(&mut bytes).is_ok_and(|read| read > 0) {}
    }

    /// Whether a stop was asked for since the last call.
    pub(crate) fn take_stop(&self) -> bool {
        self.stop.swap(false, Ordering::Relaxed)
    }

    /// Whether a reload was asked for since the last call.
    pub(crate) fn take_reload(&self) -> bool {
        self.reload.swap(false, Ordering::Relaxed)
    }
}
