//! The sockets on which clients connect.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use mio::event::Source;
use mio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::failure::Failure;

/// Connection to a client over either kind of socket.
pub(crate) trait Stream: Read + Write + Source {
    /// Closes the sending direction. Input of the client can still be read.
    ///
    /// # Errors
    /// Fails if the connection is broken.
    fn end_output(&self) -> io::Result<()>;
}

impl Stream for UnixStream {
    fn end_output(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

impl Stream for TcpStream {
    fn end_output(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

/// A bound socket. Dropping a Unix socket removes its file.
pub(crate) enum Listener {
    Unix(UnixListener, SocketFile),
    Tcp(TcpListener),
}

impl Listener {
    /// Binds a Unix socket. The file of a daemon that ended without removing it is replaced. The
    /// umask determines who may connect.
    ///
    /// # Errors
    /// Fails if another process listens on the path, or if the path is not a socket, too long or
    /// not writable.
    pub(crate) fn unix(path: &Path) -> Result<Self, Failure> {
        let fail =
            |problem: &dyn std::fmt::Display| Failure::run(format_args!("{}: {problem}", path.display()));
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(fail(&error)),
            Ok(metadata) if !metadata.file_type().is_socket() => {
                return Err(fail(&"exists and is not a socket, expected a free path"));
            }
            Ok(_) => match UnixStream::connect(path) {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    fs::remove_file(path).map_err(|error| fail(&error))?;
                }
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(fail(&error)),
                Ok(_) | Err(_) => return Err(fail(&"another process listens on this socket")),
            },
        }
        let listener = UnixListener::bind(path).map_err(|error| fail(&error))?;
        let file = SocketFile::new(path.to_path_buf()).map_err(|error| fail(&error))?;
        Ok(Self::Unix(listener, file))
    }

    /// Binds a TCP socket.
    ///
    /// # Errors
    /// Fails if the address is in use.
    pub(crate) fn tcp(address: SocketAddr) -> Result<Self, Failure> {
        let listener = TcpListener::bind(address);
        listener.map(Self::Tcp).map_err(|error| Failure::run(format_args!("--tcp {address}: {error}")))
    }

    /// Returns the path or address of the socket.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Unix(_, file) => file.path.display().to_string(),
            Self::Tcp(listener) => listener.local_addr().map_or_else(|e| e.to_string(), |a| a.to_string()),
        }
    }

    pub(crate) fn source(&mut self) -> &mut dyn Source {
        match self {
            Self::Unix(listener, _) => listener,
            Self::Tcp(listener) => listener,
        }
    }

    /// Accepts the next client.
    ///
    /// # Errors
    /// Returns `WouldBlock` if no client waits, or another error of accept(2).
    pub(crate) fn accept(&self) -> io::Result<Box<dyn Stream>> {
        match self {
            Self::Unix(listener, _) => Ok(Box::new(listener.accept()?.0)),
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept()?;
                // Answers are written as a whole, so waiting for more data (Nagle's algorithm) only
                // adds a delay.
                drop(stream.set_nodelay(true));
                Ok(Box::new(stream))
            }
        }
    }
}

/// The file of a Unix socket.
pub(crate) struct SocketFile {
    path: PathBuf,
    /// Device and inode. Another file at the same path must not be removed.
    identity: (u64, u64),
}

impl SocketFile {
    fn new(path: PathBuf) -> io::Result<Self> {
        let identity = identity(&path)?;
        Ok(Self { path, identity })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|identity| identity == self.identity) {
            drop(fs::remove_file(&self.path));
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}
