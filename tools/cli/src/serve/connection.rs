//! One client: bytes in, lines out of them, answers back.

use std::io::{self, ErrorKind};
use std::time::Instant;

use mio::event::Event;

use super::listener::Stream;
use super::protocol::Id;

/// Capacity that an idle connection keeps in each direction; more is given back when a long line is done.
const KEPT_BYTES: usize = 4096;

/// A client. Readiness is remembered until the socket says `WouldBlock`, since the poll reports changes only.
pub(crate) struct Connection {
    stream: Box<dyn Stream>,
    readable: bool,
    writable: bool,
    /// The client sends no more; it may still read.
    ended: bool,
    /// The client neither sends nor reads any more.
    gone: bool,
    /// A line was too long, its rest is being dropped.
    skipping: bool,
    input: Vec<u8>,
    /// Bytes of `input` that hold no line feed.
    searched: usize,
    output: Vec<u8>,
    /// The request that is being answered.
    pub pending: Option<Pending>,
    /// Closes once its output is written.
    pub closing: bool,
    /// When it last gave a line, got an answer or took a part of one.
    quiet_since: Instant,
    /// Rounds in which it was read although it had been quiet for too long.
    last_rounds: u32,
}

/// A request under way.
pub(crate) struct Pending {
    /// What its answer repeats.
    pub id: Id,
    /// Tells its answer from late ones.
    pub serial: u64,
    pub deadline: Instant,
}

/// A line of input.
#[derive(Debug, PartialEq)]
pub(crate) enum Line {
    Text(String),
    /// No UTF-8 from this byte on.
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
            quiet_since: now,
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

    /// Whether nobody is there to read an answer.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone
    }

    /// Whether the client will notice by itself that the connection is closed: it sends no more, so
    /// nothing that it sends can be lost.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended || self.gone
    }

    /// When the client last showed that it is there.
    pub(crate) fn quiet_since(&self) -> Instant {
        self.quiet_since
    }

    pub(crate) fn stirs(&mut self, now: Instant) {
        self.quiet_since = now;
        self.last_rounds = 0;
    }

    /// Whether everything was looked at that a client has sent who has been quiet for too long. A
    /// client that sends without an end of a line has `most` rounds from then on.
    pub(crate) fn was_heard_out(&mut self, most: u32) -> bool {
        self.last_rounds += 1;
        !self.is_readable() || self.last_rounds > most
    }

    /// Writes though the poll has not said that the socket takes anything; whether it took
    /// something.
    ///
    /// # Errors
    /// When the client is gone.
    pub(crate) fn insist(&mut self, now: Instant) -> io::Result<bool> {
        let before = self.output.len();
        self.writable = true;
        self.flush(now)?;
        Ok(self.output.len() < before)
    }

    /// Whether a read may give something.
    pub(crate) fn is_readable(&self) -> bool {
        self.readable && !self.ended
    }

    /// Whether the client has sent everything and every line of it was taken.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.ended && self.input.is_empty()
    }

    /// Whether answers wait for the client to read.
    pub(crate) fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    /// Reads once, as much as fits `chunk`.
    ///
    /// # Errors
    /// When the connection is broken.
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

    /// Takes the next whole line, without its end. What stands after the last line feed is a line when no more can come.
    pub(crate) fn next_line(&mut self, most: usize) -> Option<Line> {
        loop {
            let found = self.input[self.searched..].iter().position(|byte| *byte == b'\n');
            let (len, end) = match found {
                Some(position) => (self.searched + position, self.searched + position + 1),
                None if self.ended && !self.input.is_empty() => (self.input.len(), self.input.len()),
                None => {
                    self.searched = self.input.len();
                    // A carriage return may still belong to the line's end.
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

    /// Puts a line into the output; [`Connection::flush`] writes it. From now on the client has
    /// time to read it.
    pub(crate) fn answer(&mut self, line: &str, now: Instant) {
        self.stirs(now);
        self.output.extend_from_slice(line.as_bytes());
        self.output.push(b'\n');
    }

    /// Writes what the socket takes.
    ///
    /// # Errors
    /// When the client is gone.
    pub(crate) fn flush(&mut self, now: Instant) -> io::Result<()> {
        while self.writable && !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => {
                    self.output.drain(..written);
                    self.stirs(now);
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

    /// The lines that `parts` give, each read before the next is sent; then the client's end is closed.
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
