//! The protocol of a runner: one request per line on standard input, one answer per line on
//! standard output.
//!
//! | request | answer |
//! |---|---|
//! | `load ID ...` | `load NANOSECONDS`: time to open the model and run these ids |
//! | `logits ID ...` | `logits LOGIT ...` |
//! | `run REPEATS ID ...` | `run NANOSECONDS ...`, one per repetition |
//! | `allocations ID ...` | `allocations CALLS BYTES`: the allocations of one run |
//! | `version` | `version TEXT` |
//! | `quit` | none; the process exits |
//!
//! Every error is answered with `error MESSAGE` and ends the process.

use std::error::Error;
use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use crate::allocations::allocated_by;

/// A result whose error is only printed.
pub type Outcome<T> = Result<T, Box<dyn Error>>;

/// An engine with an open model.
pub trait Peer: Sized {
    /// Name and version of the engine.
    const VERSION: &'static str;

    /// Opens the model for runs of `tokens` tokens.
    ///
    /// # Errors
    /// When the model cannot be opened.
    fn open(arguments: &Arguments, tokens: usize) -> Outcome<Self>;

    /// Returns whether the open model can run `tokens` tokens. Otherwise a new [`Peer::open`] is
    /// needed.
    fn fits(&self, tokens: usize) -> bool {
        let _ = tokens;
        true
    }

    /// Runs one sequence and appends its logits to `logits`, which is empty.
    ///
    /// # Errors
    /// When the engine fails.
    fn run(&mut self, ids: &[u16], logits: &mut Vec<f32>) -> Outcome<()>;
}

/// Command line of a runner: `MODEL THREADS [VARIANT]`.
#[derive(Clone, Debug)]
pub struct Arguments {
    /// File or folder of the model.
    pub model: PathBuf,
    /// Threads for one run.
    pub threads: usize,
    /// Variant of the engine, if the runner has several; otherwise empty.
    pub variant: String,
}

impl Arguments {
    fn from_command_line() -> Outcome<Self> {
        let mut arguments = std::env::args().skip(1);
        let model = arguments.next().ok_or("usage: MODEL THREADS [VARIANT]")?.into();
        let threads = arguments.next().ok_or("THREADS: missing, expected a number")?;
        let threads = threads.parse().map_err(|error| format!("THREADS: {threads} found: {error}"))?;
        Ok(Self { model, threads, variant: arguments.next().unwrap_or_default() })
    }
}

/// Serves requests until `quit` or the end of the input.
pub fn main<P: Peer>() -> ExitCode {
    match Arguments::from_command_line().and_then(serve::<P>) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("error {}", error.to_string().replace('\n', " "));
            ExitCode::FAILURE
        }
    }
}

fn serve<P: Peer>(arguments: Arguments) -> Outcome<()> {
    let mut runner = Runner::<P> { arguments, open: None };
    for line in io::stdin().lock().lines() {
        let line = line?;
        let (request, rest) = line.split_once(' ').unwrap_or((&line, ""));
        if request == "quit" {
            break;
        }
        let answer = runner.answer(request, rest)?;
        println!("{request} {answer}");
        io::stdout().flush()?;
    }
    Ok(())
}

/// An open engine. The memory for its logits is reused, so that it does not count as an allocation
/// of the engine.
struct Open<P> {
    peer: P,
    logits: Vec<f32>,
}

impl<P: Peer> Open<P> {
    fn run(&mut self, ids: &[u16]) -> Outcome<&[f32]> {
        self.logits.clear();
        self.peer.run(ids, &mut self.logits)?;
        Ok(&self.logits)
    }
}

struct Runner<P> {
    arguments: Arguments,
    open: Option<Open<P>>,
}

impl<P: Peer> Runner<P> {
    fn answer(&mut self, request: &str, rest: &str) -> Outcome<String> {
        match request {
            "load" => {
                let ids = numbers(rest)?;
                self.open = None;
                let start = Instant::now();
                self.ready(ids.len())?.run(&ids)?;
                Ok(start.elapsed().as_nanos().to_string())
            }
            "logits" => {
                let ids = numbers(rest)?;
                Ok(joined(self.ready(ids.len())?.run(&ids)?))
            }
            "run" => {
                let (repeats, ids) = rest.split_once(' ').ok_or("run: expected REPEATS ID ...")?;
                let repeats: usize = repeats.parse()?;
                let ids = numbers(ids)?;
                let open = self.ready(ids.len())?;
                let mut times = Vec::with_capacity(repeats);
                for _ in 0..repeats {
                    let start = Instant::now();
                    open.run(&ids)?;
                    times.push(start.elapsed().as_nanos());
                }
                Ok(joined(&times))
            }
            "allocations" => {
                let ids = numbers(rest)?;
                let open = self.ready(ids.len())?;
                for _ in 0..3 {
                    open.run(&ids)?;
                }
                let (allocated, result) = allocated_by(|| open.run(&ids).map(drop));
                result?;
                Ok(format!("{} {}", allocated.calls, allocated.bytes))
            }
            "version" => Ok(P::VERSION.to_owned()),
            _ => Err(format!(
                "request {request} found, expected load, logits, run, allocations, version or quit"
            )
            .into()),
        }
    }

    /// Returns the engine. Opens it first, or again if the open one is for another length.
    fn ready(&mut self, tokens: usize) -> Outcome<&mut Open<P>> {
        if self.open.as_ref().is_some_and(|open| !open.peer.fits(tokens)) {
            self.open = None;
        }
        match &mut self.open {
            Some(open) => Ok(open),
            empty => Ok(empty.insert(Open { peer: P::open(&self.arguments, tokens)?, logits: Vec::new() })),
        }
    }
}

fn numbers(text: &str) -> Outcome<Vec<u16>> {
    let number = |word: &str| word.parse().map_err(|error| format!("token id {word} found: {error}").into());
    text.split_ascii_whitespace().map(number).collect()
}

fn joined<T: ToString>(values: &[T]) -> String {
    values.iter().map(T::to_string).collect::<Vec<_>>().join(" ")
}
