//! One request a line on standard input, one answer a line on standard output.
//!
//! | request | answer |
//! |---|---|
//! | `load ID ...` | `load NANOSECONDS`: from nothing to the logits of these ids |
//! | `logits ID ...` | `logits LOGIT ...` |
//! | `run REPEATS ID ...` | `run NANOSECONDS ...`, one a repeat |
//! | `allocations ID ...` | `allocations CALLS BYTES` of one run |
//! | `version` | `version TEXT` |
//! | `quit` | none, the process ends |
//!
//! Whatever goes wrong is answered with `error MESSAGE`, and ends the process.

use std::error::Error;
use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use crate::allocations::allocated_by;

/// A result whose error is only shown.
pub type Outcome<T> = Result<T, Box<dyn Error>>;

/// An engine with a model in it.
pub trait Peer: Sized {
    /// Its name and version.
    const VERSION: &'static str;

    /// Makes the model ready for runs of `tokens` tokens.
    ///
    /// # Errors
    /// When the model cannot be opened.
    fn open(arguments: &Arguments, tokens: usize) -> Outcome<Self>;

    /// Whether runs of `tokens` tokens need a new [`Peer::open`].
    fn fits(&self, tokens: usize) -> bool {
        let _ = tokens;
        true
    }

    /// Runs one sequence.
    ///
    /// # Errors
    /// When the engine refuses.
    fn run(&mut self, ids: &[u16]) -> Outcome<[f32; 2]>;
}

/// What a runner is started with: `MODEL THREADS [VARIANT]`.
#[derive(Clone, Debug)]
pub struct Arguments {
    /// File or folder of the model.
    pub model: PathBuf,
    /// Threads for one run.
    pub threads: usize,
    /// Which engine, where a runner has several; empty otherwise.
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
    let mut runner = Runner::<P> { arguments, peer: None };
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

struct Runner<P> {
    arguments: Arguments,
    peer: Option<P>,
}

impl<P: Peer> Runner<P> {
    fn answer(&mut self, request: &str, rest: &str) -> Outcome<String> {
        match request {
            "load" => {
                let ids = numbers(rest)?;
                self.peer = None;
                let start = Instant::now();
                self.ready(ids.len())?.run(&ids)?;
                Ok(start.elapsed().as_nanos().to_string())
            }
            "logits" => {
                let ids = numbers(rest)?;
                Ok(joined(&self.ready(ids.len())?.run(&ids)?))
            }
            "run" => {
                let (repeats, ids) = rest.split_once(' ').ok_or("run: expected REPEATS ID ...")?;
                let repeats: usize = repeats.parse()?;
                let ids = numbers(ids)?;
                let peer = self.ready(ids.len())?;
                let mut times = Vec::with_capacity(repeats);
                for _ in 0..repeats {
                    let start = Instant::now();
                    peer.run(&ids)?;
                    times.push(start.elapsed().as_nanos());
                }
                Ok(joined(&times))
            }
            "allocations" => {
                let ids = numbers(rest)?;
                let peer = self.ready(ids.len())?;
                for _ in 0..3 {
                    peer.run(&ids)?;
                }
                let (allocated, result) = allocated_by(|| peer.run(&ids));
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

    /// The engine, opened again where it was made for another length.
    fn ready(&mut self, tokens: usize) -> Outcome<&mut P> {
        if self.peer.as_ref().is_some_and(|peer| !peer.fits(tokens)) {
            self.peer = None;
        }
        match &mut self.peer {
            Some(peer) => Ok(peer),
            empty => Ok(empty.insert(P::open(&self.arguments, tokens)?)),
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
