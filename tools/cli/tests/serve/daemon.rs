//! Runs `electra serve` in the same way as a service manager.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::common::electra;

/// Time limit for each step, far above the time that it takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Daemon {
    child: Child,
    notices: UnixDatagram,
    pub folder: tempfile::TempDir,
}

impl Daemon {
    /// Starts a daemon with its own socket and waits until it is ready.
    pub fn start(args: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self::start_in(folder, args)
    }

    pub fn start_in(folder: tempfile::TempDir, args: &[&str]) -> Self {
        let socket = folder.path().join("electra.sock");
        let socket = socket.to_str().expect("UTF-8").to_owned();
        Self::start_without_socket(folder, &[&["--socket", &socket], args].concat())
    }

    pub fn start_without_socket(folder: tempfile::TempDir, args: &[&str]) -> Self {
        let notices = UnixDatagram::bind(folder.path().join("notify")).expect("a socket");
        notices.set_read_timeout(Some(PATIENCE)).expect("set");
        let child = electra()
            .arg("serve")
            .args(args)
            .env("NOTIFY_SOCKET", folder.path().join("notify"))
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command starts");
        let mut daemon = Self { child, notices, folder };
        daemon.expect_notice("READY=1");
        daemon
    }

    /// Receives the next notice to the service manager, which must begin with `start`.
    #[track_caller]
    pub fn expect_notice(&mut self, start: &str) -> String {
        let mut bytes = [0; 1024];
        match uninterrupted(|| self.notices.recv(&mut bytes)) {
            Ok(len) => {
                let notice = String::from_utf8_lossy(&bytes[..len]).into_owned();
                assert!(notice.starts_with(start), "{notice:?}, expected {start:?}");
                notice
            }
            Err(error) => {
                drop(self.child.kill());
                panic!("no notice: {error}; {}", self.log());
            }
        }
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("electra.sock")
    }

    pub fn connect(&self) -> Client<UnixStream> {
        let stream = UnixStream::connect(self.socket()).expect("connected");
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        Client(BufReader::new(stream))
    }

    /// Returns the answer to `text` on a new connection.
    pub fn ask(&self, text: &str) -> String {
        self.connect().ask(text)
    }

    pub fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().expect("sh starts").success());
    }

    /// Returns the resident memory in bytes.
    pub fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("read");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a figure");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
    }

    /// Waits for the end of the daemon and returns the folder with all its files.
    pub fn end_and_keep_folder(mut self) -> tempfile::TempDir {
        assert!(self.child.wait().expect("waited").success(), "{}", self.log());
        drop(fs::remove_file(self.folder.path().join("notify")));
        std::mem::replace(&mut self.folder, tempfile::tempdir().expect("a folder"))
    }

    /// Waits for the end of the daemon and returns its status and log.
    #[track_caller]
    pub fn end(mut self) -> (ExitStatus, String) {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().expect("waited") {
                return (status, self.log());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        drop(self.child.kill());
        panic!("the daemon did not end; {}", self.log());
    }

    /// Stops the daemon, which must succeed, and returns its log.
    #[track_caller]
    pub fn stop(self) -> String {
        self.signal("TERM");
        let socket = self.socket();
        let folder = self.folder.path().to_path_buf();
        let (status, log) = self.end();
        assert!(status.success(), "{status}: {log}");
        assert!(!socket.exists() || !folder.exists());
        log
    }

    fn log(&mut self) -> String {
        let mut log = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            drop(stderr.read_to_string(&mut log));
        }
        log
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Repeats `receive` as long as the system interrupts it. A socket with a time limit is interrupted
/// also if the whole process is paused and continued (see signal(7)).
pub fn uninterrupted<T>(mut receive: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match receive() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// A connection that sends and receives lines.
pub struct Client<S: Read>(pub BufReader<S>);

impl<S: Read + Write> Client<S> {
    pub fn send(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).expect("sent");
    }

    /// Returns the next line without its line ending, or `None` at the end.
    pub fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.0.read_line(&mut line).expect("an answer") {
            0 => None,
            _ => Some(line.strip_suffix('\n').expect("a whole line").to_owned()),
        }
    }

    pub fn ask(&mut self, text: &str) -> String {
        self.send(format!("{text}\n").as_bytes());
        self.line().expect("an answer")
    }
}

impl Client<UnixStream> {
    /// Closes the sending direction. Answers can still be read.
    pub fn half_close(&mut self) {
        self.0.get_ref().shutdown(Shutdown::Write).expect("shut down");
    }
}
