//! One client: splits its bytes into lines and sends answers back.

use std::io::{self, ErrorKind};
use std::time::Instant;

use mio::event::Event;

use super::listener::Stream;
use super::pool::Ticket;
use super::protocol::Id;

/// Buffer capacity that an idle connection keeps per direction, in bytes. More is freed after a
/// long line.
const KEPT_BYTES: usize = 4096;

/// A client. The poll reports only changes, so readiness is stored until the socket returns
/// `WouldBlock`.
pub(crate) struct Connection {
    stream: Box<dyn Stream>,
    readable: bool,
    writable: bool,
    /// The client has closed its sending side. It may still read.
    ended: bool,
    /// The client has stopped reading, or the connection is broken.
    gone: bool,
    /// A line was too long, and the rest of it is being dropped.
    skipping: bool,
    input: Vec<u8>,
    /// Length of the part of `input` that contains no line feed.
    searched: usize,
    output: Vec<u8>,
    /// The request that waits for its answer.
    pub pending: Option<Pending>,
    /// The connection closes after its output is written.
    pub closing: bool,
    /// Time when the client last sent a line, received an answer or read a part of one.
    last_activity: Instant,
    /// Rounds of reading after the idle time.
    last_rounds: u32,
}

/// A request that waits for its answer.
pub(crate) struct Pending {
    /// Id that the answer repeats.
    pub id: Id,
    /// Distinguishes its answer from late answers to earlier requests.
    pub ticket: Ticket,
    /// Time when the request arrived.
    pub since: Instant,
    pub deadline: Instant,
}

/// A line of input.
#[derive(Debug, PartialEq)]
pub(crate) enum Line {
    Text(String),
    /// The line is not valid UTF-8 from this byte on.
    Invalid {
        at: usize,
    },
    TooLong,
}

impl Connection {
    pub(crate) fn new(stream: Box<dyn Stream>, now: Instant) -> Self {
        Self {
            stream,
            readable: true,
            writable: true,
            ended: false,
            gone: false,
            skipping: false,
            input: Vec::new(),
            searched: 0,
            output: Vec::new(),
            pending: None,
            closing: false,
            last_activity: now,
            last_rounds: 0,
        }
    }

    pub(crate) fn stream(&mut self) -> &mut dyn Stream {
        &mut *self.stream
    }

    pub(crate) fn into_stream(self) -> Box<dyn Stream> {
        self.stream
    }

    pub(crate) fn note(&mut self, event: &Event) {
        self.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
        self.writable |= event.is_writable() || event.is_write_closed() || event.is_error();
        self.gone |= event.is_write_closed() || event.is_error();
    }

    /// Returns whether the client cannot read an answer.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone
    }

    /// Returns whether the client sends no more or the connection is broken. The connection can
    /// then be closed at once, because no input of the client can be lost.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended || self.gone
    }

    /// Returns the time of the last activity of the client.
    pub(crate) fn last_activity(&self) -> Instant {
        self.last_activity
    }

    pub(crate) fn note_activity(&mut self, now: Instant) {
        self.last_activity = now;
        self.last_rounds = 0;
    }

    /// Counts a round after the idle time. Returns whether the client can be disconnected, because
    /// all its input was read or it had more than `most` rounds. The limit concerns clients that
    /// send bytes without a line ending.
    pub(crate) fn is_drained(&mut self, most: u32) -> bool {
        self.last_rounds += 1;
        !self.is_readable() || self.last_rounds > most
    }

    /// Writes even if the poll has not reported the socket as writable. Returns whether the socket
    /// accepted any bytes.
    ///
    /// # Errors
    /// Fails if the connection is broken.
    pub(crate) fn try_write(&mut self, now: Instant) -> io::Result<bool> {
        let before = self.output.len();
        self.writable = true;
        self.flush(now)?;
        Ok(self.output.len() < before)
    }

    /// Returns whether a read may return input.
    pub(crate) fn is_readable(&self) -> bool {
        self.readable && !self.ended
    }

    /// Returns whether the client sends no more and all its lines were taken.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.ended && self.input.is_empty()
    }

    /// Returns whether answers wait to be written.
    pub(crate) fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    /// Reads once, at most the length of `chunk`.
    ///
    /// # Errors
    /// Fails if the connection is broken.
    pub(crate) fn fill(&mut self, chunk: &mut [u8]) -> io::Result<()> {
        match self.stream.read(chunk) {
            Ok(0) => self.ended = true,
            Ok(read) => self.input.extend_from_slice(&chunk[..read]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.readable = false,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Takes the next whole line without its line ending. If the client sends no more, the bytes
    /// after the last line feed are a line. `most` is the longest allowed line in bytes.
    pub(crate) fn next_line(&mut self, most: usize) -> Option<Line> {
        loop {
            let found = self.input[self.searched..].iter().position(|byte| *byte == b'\n');
            let (len, end) = match found {
                Some(position) => (self.searched + position, self.searched + position + 1),
                None if self.ended && !self.input.is_empty() => (self.input.len(), self.input.len()),
                None => {
                    self.searched = self.input.len();
                    // A carriage return at this position may belong to the line ending.
                    if self.skipping || self.searched > most.saturating_add(1) {
                        self.consume(self.searched);
                        return if std::mem::replace(&mut self.skipping, true) {
                            None
                        } else {
                            Some(Line::TooLong)
                        };
                    }
                    return None;
                }
            };
            let line = &self.input[..len];
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let taken = if self.skipping {
                None
            } else if line.len() > most {
                Some(Line::TooLong)
            } else {
                Some(match std::str::from_utf8(line) {
                    Ok(text) => Line::Text(text.to_owned()),
                    Err(error) => Line::Invalid { at: error.valid_up_to() },
                })
            };
            self.consume(end);
            self.skipping = false;
            if taken.is_some() {
                return taken;
            }
        }
    }

    fn consume(&mut self, bytes: usize) {
        self.input.drain(..bytes);
        self.searched = 0;
        if self.input.len() <= KEPT_BYTES {
            self.input.shrink_to(KEPT_BYTES);
        }
    }

    /// Appends a line to the output, which [`Connection::flush`] writes. The idle time starts
    /// again, so the client has time to read the line.
    pub(crate) fn answer(&mut self, line: &str, now: Instant) {
        self.note_activity(now);
        self.output.extend_from_slice(line.as_bytes());
        self.output.push(b'\n');
    }

    /// Writes as much output as the socket accepts.
    ///
    /// # Errors
    /// Fails if the connection is broken.
    pub(crate) fn flush(&mut self, now: Instant) -> io::Result<()> {
        while self.writable && !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => {
                    self.output.drain(..written);
                    self.note_activity(now);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.writable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if self.output.is_empty() {
            self.output.shrink_to(KEPT_BYTES);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream as StdUnixStream;

    use super::*;

    /// Returns the lines in `parts`. Each part is read before the next is sent. Then the client
    /// closes its end.
    fn lines(parts: &[&[u8]], most: usize) -> Vec<Line> {
        let (mut client, server) = StdUnixStream::pair().expect("a pair");
        server.set_nonblocking(true).expect("set");
        let stream = mio::net::UnixStream::from_std(server);
        let mut connection = Connection::new(Box::new(stream), Instant::now());
        let mut lines = Vec::new();
        let mut take = |connection: &mut Connection| {
            connection.readable = true;
            while connection.is_readable() {
                connection.fill(&mut [0; 16]).expect("read");
                lines.extend(std::iter::from_fn(|| connection.next_line(most)));
            }
        };
        for part in parts {
            client.write_all(part).expect("written");
            take(&mut connection);
        }
        drop(client);
        take(&mut connection);
        assert!(connection.is_exhausted());
        assert!(connection.input.capacity() <= KEPT_BYTES);
        lines
    }

    fn text(text: &str) -> Line {
        Line::Text(text.to_owned())
    }

    #[test]
    fn lines_end_at_line_feeds_and_at_the_end() {
        assert_eq!(lines(&[b"a b\r\n\nc\n", b"d", b"e"], 8), [text("a b"), text(""), text("c"), text("de")]);
        assert_eq!(lines(&[b"a\n"], 8), [text("a")]);
        assert_eq!(lines(&[], 8), []);
    }

    #[test]
    fn long_lines_are_skipped_to_their_end() {
        assert_eq!(
            lines(&[b"12345678\r\n123456789\nshort\n"], 8),
            [text("12345678"), Line::TooLong, text("short")]
        );
        let parts: Vec<&[u8]> = vec![b"0123456789"; 20];
        assert_eq!(lines(&[&parts[..], &[b"\nshort"]].concat(), 8), [Line::TooLong, text("short")]);
        assert_eq!(lines(&parts, 8), [Line::TooLong]);
    }

    #[test]
    fn bytes_that_are_no_text_are_found() {
        assert_eq!(
            lines(&[b"ab\xff\n\xc3", b"\xa4\n\xc3"], 8),
            [Line::Invalid { at: 2 }, text("\u{e4}"), Line::Invalid { at: 0 }]
        );
    }
}
