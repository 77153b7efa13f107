//! Sources of texts: a file, which starts again after its end, or standard input, which is read
//! once.

use std::fmt;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::thread;

/// Texts, one per press.
pub enum Texts {
    /// Lines of a file.
    File {
        /// Texts; at least one.
        lines: Vec<String>,
        /// Index of the next text.
        next: usize,
    },
    /// Lines that another program writes.
    Stream(Receiver<Result<String, String>>),
}

/// Next text for a press.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// A text.
    Text(String),
    /// Reason why there is no text.
    Failed(String),
    /// No more texts will follow.
    End,
}

impl Texts {
    /// Reads the file at `path`, or starts to read standard input for '-'.
    ///
    /// # Errors
    /// When the file cannot be read, is not UTF-8 or has no text, or when no thread can be started.
    pub fn open(path: &Path) -> Result<Self, String> {
        if path == Path::new("-") {
            return Self::stream(BufReader::new(io::stdin()));
        }
        let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Self::file(&bytes).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn file(bytes: &[u8]) -> Result<Self, String> {
        let mut lines = Vec::new();
        for (index, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
            let text = text(line).map_err(|error| format!("line {}: {error}", index + 1))?;
            lines.extend(text);
        }
        if lines.is_empty() {
            return Err("no text found, expected one on each line".to_string());
        }
        Ok(Self::File { lines, next: 0 })
    }

    /// Reads from a thread, so that the program can be stopped while no line arrives. The channel
    /// holds a few lines. When it is full, the writer has to wait.
    fn stream(mut input: impl BufRead + Send + 'static) -> Result<Self, String> {
        let (sender, receiver) = sync_channel(16);
        let read = move || {
            for number in 1u64.. {
                let mut line = Vec::new();
                let read = input.read_until(b'\n', &mut line);
                let next = match read {
                    Ok(0) => return,
                    Ok(_) => text(&line).map_err(|error| format!("line {number}: {error}")).transpose(),
                    Err(ref error) => Some(Err(error.to_string())),
                };
                let unwanted = next.is_some_and(|next| sender.send(next).is_err());
                if unwanted || read.is_err() {
                    return;
                }
            }
        };
        let thread = thread::Builder::new().name("texts".to_string()).spawn(read);
        thread.map_err(|error| format!("cannot start a thread: {error}"))?;
        Ok(Self::Stream(receiver))
    }

    /// Returns the next text. After the last text of a file, the first one follows.
    pub fn next(&mut self) -> Next {
        match self {
            Self::File { lines, next } => {
                let text = lines[*next].clone();
                *next = (*next + 1) % lines.len();
                Next::Text(text)
            }
            Self::Stream(receiver) => match receiver.try_recv() {
                Ok(Ok(text)) => Next::Text(text),
                Ok(Err(message)) => Next::Failed(format!("standard input: {message}")),
                Err(TryRecvError::Empty) => Next::Failed("standard input: no line yet".to_string()),
                Err(TryRecvError::Disconnected) => Next::End,
            },
        }
    }
}

/// Returns the trimmed text of a line, or `None` for an empty line.
fn text(line: &[u8]) -> Result<Option<String>, String> {
    match std::str::from_utf8(line) {
        Ok(text) => Ok(Some(text.trim()).filter(|text| !text.is_empty()).map(str::to_string)),
        Err(error) => Err(format!("byte {} is not UTF-8, expected text", error.valid_up_to())),
    }
}

impl fmt::Display for Texts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { lines, .. } => write!(f, "{} texts", lines.len()),
            Self::Stream(_) => f.write_str("texts from standard input"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    /// Returns the next text after the reading thread has delivered it.
    fn wait_for_next(texts: &mut Texts) -> Next {
        let give_up = Instant::now() + Duration::from_secs(60);
        loop {
            match texts.next() {
                Next::Failed(message) if message.ends_with("no line yet") && Instant::now() < give_up => {
                    thread::sleep(Duration::from_millis(1));
                }
                next => return next,
            }
        }
    }

    #[test]
    fn a_file_begins_again() {
        let mut texts = Texts::file(b"one\r\n\n  two \nthree").expect("texts");
        assert_eq!(texts.to_string(), "3 texts");
        for expected in ["one", "two", "three", "one", "two"] {
            assert_eq!(texts.next(), Next::Text(expected.to_string()));
        }
    }

    #[test]
    fn a_file_without_text_is_refused() {
        let error = |bytes| Texts::file(bytes).err().expect("an error");
        assert_eq!(error(b""), "no text found, expected one on each line");
        assert_eq!(error(b"\n \r\n"), "no text found, expected one on each line");
        assert_eq!(error(b"one\ncaf\xe9\n"), "line 2: byte 3 is not UTF-8, expected text");
        let missing = Texts::open(Path::new("/nowhere/texts.txt")).err().expect("an error");
        assert!(missing.starts_with("/nowhere/texts.txt: "), "{missing}");
    }

    #[test]
    fn a_stream_is_read_once_and_a_bad_line_skipped() {
        let mut texts = Texts::stream(&b"one\n\n\xff\ntwo"[..]).expect("a thread");
        assert_eq!(wait_for_next(&mut texts), Next::Text("one".to_string()));
        let bad = "standard input: line 3: byte 0 is not UTF-8, expected text";
        assert_eq!(wait_for_next(&mut texts), Next::Failed(bad.to_string()));
        assert_eq!(wait_for_next(&mut texts), Next::Text("two".to_string()));
        assert_eq!(wait_for_next(&mut texts), Next::End);
    }

    #[test]
    fn a_press_before_the_first_line_says_so() {
        let (_keep, receiver) = sync_channel(1);
        let mut texts = Texts::Stream(receiver);
        assert_eq!(texts.next(), Next::Failed("standard input: no line yet".to_string()));
    }
}
