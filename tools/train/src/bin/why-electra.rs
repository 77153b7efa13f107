//! The command `why-electra`, which `experiments/why-electra/run` uses in addition to
//! `electra-train`.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use electra_train::error::Result;

/// Plans and collects the measurements of docs/why-electra.md.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print, one per line, the settings of a pre-training that costs as much as `rtd` over a
    /// number of tokens.
    Plan(PlanArguments),
    /// Print a table of the runs in a folder, and write results.json and
    /// accuracy-against-compute.svg there.
    Collect {
        /// Output folder of `run`.
        folder: PathBuf,
    },
    /// Plot accuracy over the size of the weights, and print a table with sources.
    Beside {
        /// TOML file that lists the models.
        file: PathBuf,
        /// SVG file to write.
        #[arg(short, long, default_value = "size-against-accuracy.svg")]
        output: PathBuf,
    },
}

#[derive(Args)]
struct PlanArguments {
    /// Settings file of `electra-train pretrain`; its objective and sizes are used.
    settings: PathBuf,
    /// Number of tokens that `rtd` would see.
    #[arg(long)]
    tokens: u64,
    /// Change one setting, as for `electra-train pretrain`.
    #[arg(long = "set", value_name = "TABLE.KEY=VALUE")]
    overrides: Vec<String>,
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Plan(it) => {
            for setting in electra_train::why_electra::plan(&it.settings, &it.overrides, it.tokens)? {
                println!("{setting}");
            }
        }
        Command::Collect { folder } => {
            let results = electra_train::why_electra::collect(&folder)?;
            for folder in &results.unfinished {
                eprintln!("{}: no fine-tuning has ended; left out", folder.display());
            }
            print!("{}", results.to_markdown());
        }
        Command::Beside { file, output } => {
            print!("{}", electra_train::why_electra::plot_sizes(&file, &output)?);
        }
    }
    Ok(())
}
