//! Standard output and progress.

use std::io::{self, IsTerminal, StdoutLock, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use electra_formats::error::controls_terminal;
use indicatif::{ProgressBar, ProgressStyle};

use crate::failure::report;
use crate::input::{Position, Rows};

/// Buffered standard output. For a long input, a progress display on standard error is shown if
/// that is a terminal.
pub(crate) struct Output {
    writer: io::BufWriter<StdoutLock<'static>>,
    progress: ProgressBar,
    /// Progress in the input, if its size is known.
    position: Option<Position>,
    rows: u64,
    start: Instant,
    interactive: bool,
    prompt: bool,
}

impl Output {
    /// Creates the output of a command that prints once.
    pub(crate) fn new() -> Self {
        Self::with_progress(ProgressBar::hidden(), None)
    }

    /// Creates the output of a command that processes `rows`. Progress is shown if standard error
    /// is a terminal and the rows come from a file.
    pub(crate) fn of_rows(rows: &Rows) -> Self {
        if !rows.from_file || !io::stderr().is_terminal() {
            return Self::new();
        }
        let (bar, template) = match &rows.position {
            Some(position) => {
                (ProgressBar::new(position.bytes), "{wide_bar} {percent:>3} %, {msg}, {eta} left")
            }
            None => (ProgressBar::new_spinner(), "{spinner} {msg}, {elapsed}"),
        };
        // The template is a constant. If it were invalid, the default style would stay in use.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self::with_progress(bar, rows.position.clone())
    }

    fn with_progress(progress: ProgressBar, position: Option<Position>) -> Self {
        let interactive = io::stdout().is_terminal();
        let writer = io::BufWriter::with_capacity(1 << 16, io::stdout().lock());
        Self { writer, progress, position, rows: 0, start: Instant::now(), interactive, prompt: false }
    }

    /// Flushes after every line if `input` is standard input, because its writer may wait for the
    /// answer.
    pub(crate) fn prompt_for(mut self, input: Option<&PathBuf>) -> Self {
        self.prompt = input.is_some_and(|path| path == Path::new("-"));
        self
    }

    /// Writes one line and counts `rows` more rows of the input as done.
    pub(crate) fn line(&mut self, line: &str, rows: u64) -> io::Result<()> {
        self.advance(rows);
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
        self.advance(1);
    }

    fn advance(&mut self, rows: u64) {
        self.rows += rows;
        if self.progress.is_hidden() {
            return;
        }
        match &self.position {
            Some(position) => self.progress.set_position(position.now()),
            None => self.progress.inc(rows),
        }
        let per_second = self.rows as f64 / self.start.elapsed().as_secs_f64().max(1e-3);
        self.progress.set_message(format!("{} texts, {per_second:.0}/s", self.rows));
    }

    /// Flushes standard output.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }

    /// Reports a bad row on standard error.
    pub(crate) fn bad_row(&mut self, input: &str, line: u64, problem: &str) {
        self.advance(1);
        self.progress.suspend(|| report(format_args!("{input}, line {line}: {problem}")));
    }

    /// Ends the progress display and flushes.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        self.progress.finish_and_clear();
        self.writer.flush()
    }
}

/// Returns `text` on one line. Characters that could end the line or control a terminal become
/// spaces.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().map(|c| if controls_terminal(c) { ' ' } else { c }).collect()
}
