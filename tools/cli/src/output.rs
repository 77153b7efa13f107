//! Standard output and progress.

use std::io::{self, IsTerminal, StdoutLock, Write};
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};

use crate::failure::say;

/// Buffered standard output, with a progress display on standard error where both a person and a long input are
/// there to need one.
pub(crate) struct Output {
    writer: io::BufWriter<StdoutLock<'static>>,
    progress: ProgressBar,
    interactive: bool,
    prompt: bool,
}

impl Output {
    /// `long` inputs show their progress if standard error is a terminal.
    pub(crate) fn new(long: bool) -> Self {
        let progress = if long && io::stderr().is_terminal() {
            let bar = ProgressBar::new_spinner();
            // The template is a constant; were it broken, the default would still count.
            if let Ok(style) =
                ProgressStyle::with_template("{spinner} {human_pos} texts, {per_sec}, {elapsed}")
            {
                bar.set_style(style);
            }
            bar
        } else {
            ProgressBar::hidden()
        };
        let interactive = io::stdout().is_terminal();
        let writer = io::BufWriter::with_capacity(1 << 16, io::stdout().lock());
        Self { writer, progress, interactive, prompt: false }
    }

    /// Hands on every line at once where the input is one that may still be written.
    pub(crate) fn prompt_for(mut self, input: Option<&PathBuf>) -> Self {
        self.prompt = input.is_some_and(|path| path == Path::new("-"));
        self
    }

    /// Writes one line. `rows` more rows of the input are done.
    pub(crate) fn line(&mut self, line: &str, rows: u64) -> io::Result<()> {
        self.progress.inc(rows);
        if self.interactive && !self.progress.is_hidden() {
            let writer = &mut self.writer;
            return self.progress.suspend(|| {
                writeln!(writer, "{line}")?;
                writer.flush()
            });
        }
        writeln!(self.writer, "{line}")?;
        if self.prompt { self.writer.flush() } else { Ok(()) }
    }

    /// Counts a row that prints nothing.
    pub(crate) fn tick(&mut self) {
        self.progress.inc(1);
    }

    /// Hands on what was written so far.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }

    /// Says on standard error that a row was bad.
    pub(crate) fn bad_row(&mut self, input: &str, line: u64, problem: &str) {
        self.progress.inc(1);
        self.progress.suspend(|| say(format_args!("{input}, line {line}: {problem}")));
    }

    /// Ends the progress display and flushes.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        self.progress.finish_and_clear();
        self.writer.flush()
    }
}

/// `text` on one line: control characters, which could end the line or steer a terminal, become spaces.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
