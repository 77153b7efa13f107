//! The command `electra-train`.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use electra_train::error::Result;

/// Makes ELECTRA models: pre-training, fine-tuning, evaluation.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Pre-train by replaced-token detection, or by masked language modelling for comparison.
    Pretrain(RunArguments),
}

#[derive(Args)]
struct RunArguments {
    /// Settings of the run, TOML.
    settings: PathBuf,
    /// Folder of the run: settings, log, checkpoints, result. A run that was interrupted goes on from its last checkpoint.
    #[arg(short, long)]
    output: PathBuf,
    /// Change one setting, for instance `training.steps=1000`.
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
        Command::Pretrain(it) => {
            for folder in electra_train::pretrain::pretrain(&it.settings, &it.overrides, &it.output)? {
                println!("{}", folder.display());
            }
        }
    }
    Ok(())
}
