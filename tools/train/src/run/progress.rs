//! Display of a run: a bar on a terminal, occasional lines elsewhere. A spinner shows the work
//! before a run.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Least time between two lines if there is no terminal.
const BETWEEN_LINES: Duration = Duration::from_secs(30);
const BETWEEN_FRAMES: Duration = Duration::from_millis(100);

/// Display of a run, see the module.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    title: String,
    steps: u64,
    last_line: Option<Instant>,
    silent: bool,
}

impl Progress {
    /// Begins the display of `steps` steps, of which `done` are done.
    pub fn new(title: &str, steps: u64, done: u64) -> Self {
        let bar = ProgressBar::new(steps).with_position(done);
        let style = ProgressStyle::with_template("{prefix} {bar:30} {pos}/{len} {msg} [{elapsed} < {eta}]");
        if let Ok(style) = style {
            bar.set_style(style);
        }
        bar.set_prefix(title.to_owned());
        bar.reset_eta();
        Self { bar, title: title.to_owned(), steps, last_line: None, silent: false }
    }

    /// Returns a display that shows nothing, for a run that another process displays.
    pub fn silent() -> Self {
        Self { bar: ProgressBar::hidden(), title: String::new(), steps: 0, last_line: None, silent: true }
    }

    /// Shows that `step` is done.
    pub fn step(&self, step: u64) {
        self.bar.set_position(step);
    }

    /// Shows new figures.
    pub fn report(&mut self, step: u64, figures: &str) {
        self.bar.set_message(figures.to_owned());
        let due = step == self.steps || self.last_line.is_none_or(|last| last.elapsed() >= BETWEEN_LINES);
        if self.bar.is_hidden() && due && !self.silent {
            let left = self.bar.eta().as_secs();
            eprintln!("{} {step}/{} {figures} [{left} s left]", self.title, self.steps);
            self.last_line = Some(Instant::now());
        }
    }

    /// Prints a line that stays on the screen.
    pub fn note(&self, line: &str) {
        if self.silent {
            return;
        }
        if self.bar.is_hidden() {
            eprintln!("{line}");
        } else {
            self.bar.println(line);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.abandon();
    }
}

/// Shows that an action takes time, until it is dropped. Without a terminal it prints a line.
#[derive(Debug)]
pub struct Waiting {
    spinner: ProgressBar,
}

impl Waiting {
    /// Begins the display of `what`, for example "reading a.tsv".
    pub fn new(what: String) -> Self {
        let spinner = ProgressBar::new_spinner();
        if spinner.is_hidden() {
            eprintln!("{what}");
        } else {
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} [{elapsed}]") {
                spinner.set_style(style);
            }
            spinner.set_message(what);
            spinner.enable_steady_tick(BETWEEN_FRAMES);
        }
        Self { spinner }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.spinner.finish_and_clear();
    }
}
