//! The command `why-electra`: what `experiments/why-electra/run` needs beside `electra-train`.
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
    /// Print the settings with which a pre-training costs what `rtd` costs over some tokens, one a line.
    Plan(PlanArguments),
    /// Print a table of the runs in a folder, and write results.json and accuracy-against-compute.svg there.
    Collect {
        /// Output folder of `run`.
        folder: PathBuf,
    },
    /// Draw accuracy over the size of the weights, and print a table with sources.
    Beside {
        /// The models, TOML.
        file: PathBuf,
        /// SVG to write.
        #[arg(short, long, default_value = "size-against-accuracy.svg")]
        output: PathBuf,
    },
}

#[derive(Args)]
struct PlanArguments {
    /// Settings of `electra-train pretrain`; the objective and the sizes count.
    settings: PathBuf,
    /// Tokens that `rtd` would see.
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
            print!("{}", electra_train::why_electra::draw_beside(&file, &output)?);
        }
    }
    Ok(())
}
