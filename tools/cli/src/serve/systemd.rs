//! Notifies the service manager: sd_notify(3), a datagram to the socket named by NOTIFY_SOCKET.

use std::ffi::OsString;
use std::io;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use super::log;

/// Connection to the service manager, if there is one.
pub(crate) struct Systemd(Option<(UnixDatagram, SocketAddr)>);

impl Systemd {
    /// Connects to the service manager that the environment names. If that fails, the error is
    /// logged and no notices are sent.
    pub(crate) fn from_environment() -> Self {
        let Some(name) = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
            return Self(None);
        };
        let connection = address(&name).and_then(|address| Ok((UnixDatagram::unbound()?, address)));
        Self(connection.map_err(|error| log(format_args!("NOTIFY_SOCKET {}: {error}", name.display()))).ok())
    }

    /// Reports that the daemon accepts requests. `systemctl status` shows `status`.
    pub(crate) fn ready(&self, status: &str) {
        self.send(&format!("READY=1\nSTATUS={status}"));
    }

    /// Reports that the model is being replaced. [`Systemd::ready`] ends this state.
    pub(crate) fn reloading(&self) {
        self.send("RELOADING=1\nSTATUS=reloading the model");
    }

    /// Reports that the daemon answers the waiting requests and then ends.
    pub(crate) fn stopping(&self) {
        self.send("STOPPING=1\nSTATUS=stopping");
    }

    fn send(&self, state: &str) {
        if let Some((socket, address)) = &self.0
            && let Err(error) = socket.send_to_addr(state.as_bytes(), address)
        {
            log(format_args!("cannot notify the service manager: {error}"));
        }
    }
}

#[cfg(target_os = "linux")]
fn address(name: &OsString) -> io::Result<SocketAddr> {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::ffi::OsStrExt;
    match name.as_bytes().strip_prefix(b"@") {
        Some(abstract_name) => SocketAddr::from_abstract_name(abstract_name),
        None => SocketAddr::from_pathname(name),
    }
}

#[cfg(not(target_os = "linux"))]
fn address(name: &OsString) -> io::Result<SocketAddr> {
    SocketAddr::from_pathname(name)
}
