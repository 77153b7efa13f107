//! A client that shows every byte of HTTP, and a daemon with an HTTP door.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::daemon::{Daemon, PATIENCE};
use crate::long_text;

/// A daemon with both doors.
pub struct Service {
    pub daemon: Daemon,
    pub address: SocketAddr,
}

/// A connection to the HTTP door.
pub struct Client(BufReader<TcpStream>);

/// A response. The names of the headers are in lower case.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

pub fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port")
}

impl Service {
    /// Starts a daemon with the line protocol and HTTP.
    pub fn start(args: &[&str]) -> Self {
        let address = free_port();
        let daemon = Daemon::start(&[&["--http", &address.to_string()], args].concat());
        Self { daemon, address }
    }

    /// Starts a daemon with HTTP only.
    pub fn start_alone(args: &[&str]) -> Self {
        let address = free_port();
        let folder = tempfile::tempdir().expect("a folder");
        let daemon =
            Daemon::start_without_socket(folder, &[&["--http", &address.to_string()], args].concat());
        Self { daemon, address }
    }

    pub fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.address).expect("connected");
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        Client(BufReader::new(stream))
    }

    pub fn get(&self, path: &str) -> Response {
        self.connect().ask(&format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n"))
    }

    pub fn post(&self, path: &str, body: &Value) -> Response {
        self.connect().post(path, body)
    }

    /// Returns the value of a metric, 0 if it is absent.
    pub fn metric(&self, name: &str) -> f64 {
        let metrics = self.get("/metrics").body;
        let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().expect("a number"))
    }

    /// Waits until a metric has this value.
    #[track_caller]
    pub fn await_metric(&self, name: &str, value: f64) {
        let start = Instant::now();
        while self.metric(name) != value {
            assert!(start.elapsed() < PATIENCE, "{name}: {}, expected {value}", self.metric(name));
            sleep(Duration::from_millis(10));
        }
    }

    /// Sends a text that keeps the worker busy for `times` seconds or longer, and waits until the
    /// worker has taken it.
    pub fn occupy(&self, times: usize) -> Client {
        let mut client = self.connect();
        client.send(&request("/predict", &json!({ "inputs": long_text().repeat(times) }).to_string()));
        // The body of the request takes a moment to arrive.
        sleep(Duration::from_millis(500));
        self.await_metric("electra_queue_length", 0.0);
        client
    }
}

/// Options that [`Service::occupy`] needs.
pub const ROOM: [&str; 4] = ["--line-bytes", "3000000", "--body-bytes", "3000000"];

/// Returns a request with a JSON body.
pub fn request(path: &str, body: &str) -> String {
    let len = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len}\r\n\r\n\
         {body}"
    )
}

impl Client {
    pub fn send(&mut self, bytes: &str) {
        self.0.get_mut().write_all(bytes.as_bytes()).expect("sent");
    }

    /// Sends bytes. The service may have closed the connection.
    pub fn try_send(&mut self, bytes: &str) {
        drop(self.0.get_mut().write_all(bytes.as_bytes()));
    }

    pub fn ask(&mut self, bytes: &str) -> Response {
        self.send(bytes);
        self.response().expect("a response")
    }

    pub fn post(&mut self, path: &str, body: &Value) -> Response {
        self.ask(&request(path, &body.to_string()))
    }

    /// Returns the next response, or `None` at the end of the connection.
    pub fn response(&mut self) -> Option<Response> {
        let mut response = self.head()?;
        let len = response.header("content-length").map_or(0, |len| len.parse().expect("a number"));
        let mut body = vec![0; len];
        self.0.read_exact(&mut body).expect("a whole body");
        response.body = String::from_utf8(body).expect("UTF-8");
        Some(response)
    }

    /// Returns the head of the next response.
    pub fn head(&mut self) -> Option<Response> {
        let mut line = String::new();
        if self.0.read_line(&mut line).expect("a line or the end") == 0 {
            return None;
        }
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let mut headers = Vec::new();
        loop {
            line.clear();
            self.0.read_line(&mut line).expect("a line");
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            headers.push((name.to_lowercase(), value.to_owned()));
        }
        Some(Response { status, headers, body: String::new() })
    }

    /// Asserts that the service closes the connection without another byte.
    #[track_caller]
    pub fn expect_end(&mut self) {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).expect("the end, not a reset");
        assert_eq!(String::from_utf8_lossy(&rest), "");
    }
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{self:?}: {error}"))
    }

    /// Asserts that the request was refused with this status, and that the message contains `part`.
    #[track_caller]
    pub fn expect_problem(&self, status: u16, error_type: &str, part: &str) {
        let body = self.json();
        let message = body["error"].as_str().expect("a message");
        assert_eq!((self.status, &body["error_type"]), (status, &error_type.into()), "{message}");
        assert!(message.contains(part), "{message}");
    }
}
