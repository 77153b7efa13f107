//! `bit-flips [--model FILE] [--runs N] [--seed N]` flips random bits of a classifier in memory and
//! prints what happens as a table in Markdown. The table in `docs/trust.md` comes from here:
//!
//! ```console
//! $ cargo run --release -p bit-flips
//! ```
//!
//! Each section, and the header with the section table, gets 1, 10 and 100 flipped bits, each N
//! times (10,000 by default). After each run the bits are flipped back. The table does not depend
//! on the number of threads.
#![forbid(unsafe_code)]

mod campaign;
mod random;
mod table;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "usage: bit-flips [--model FILE] [--runs N] [--seed N]";
const DEFAULT_MODEL: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/electra-small-sentiment/model.electra");

struct Options {
    model: PathBuf,
    runs: usize,
    seed: u64,
}

fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bit-flips: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: impl Iterator<Item = String>) -> Result<(), Box<dyn Error>> {
    let options = parse(arguments)?;
    let name = options.model.display();
    let file = std::fs::read(&options.model).map_err(|error| format!("{name}: {error}"))?;
    let cells =
        campaign::run(&file, options.runs, options.seed).map_err(|error| format!("{name}: {error}"))?;
    print!("{}", table::render(&cells));
    Ok(())
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options, Box<dyn Error>> {
    let mut options = Options { model: DEFAULT_MODEL.into(), runs: 10_000, seed: 1 };
    while let Some(option) = arguments.next() {
        let value = arguments.next().ok_or(USAGE)?;
        match option.as_str() {
            "--model" => options.model = value.into(),
            "--runs" => options.runs = number(&option, &value)?,
            "--seed" => options.seed = number(&option, &value)?,
            _ => return Err(format!("{option} found; {USAGE}").into()),
        }
    }
    Ok(options)
}

fn number<T: std::str::FromStr>(option: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{option}: {value} found, expected a number; {USAGE}"))
}
