//! The command `electra`: classify, explain, detect, evaluate, tokenize, inspect, self-test,
//! footprint, profile, serve, health, pack, sign, verify, update.
#![forbid(unsafe_code)]

mod args;
mod commands;
mod evaluation;
mod examples;
mod explain;
mod failure;
mod footprint;
mod input;
mod output;
#[cfg(unix)]
mod serve;
mod trust;
mod workers;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, ValueHint};

use args::{Command, CommandLine};

/// Runs the command that the command line of this process names.
#[must_use]
pub fn run() -> ExitCode {
    let outcome = match CommandLine::parse().command {
        Command::Classify(args) => commands::classify::run(&args),
        Command::Explain(args) => commands::explain::run(&args),
        Command::Detect(args) => commands::detect::run(&args),
        Command::Evaluate(args) => commands::evaluate::run(&args),
        Command::Tokenize(args) => commands::tokenize::run(&args),
        Command::Inspect(args) => commands::inspect::run(&args),
        Command::SelfTest(args) => commands::self_test::run(&args),
        Command::Footprint(args) => commands::footprint::run(&args),
        Command::Profile(args) => commands::profile::run(&args),
        #[cfg(unix)]
        Command::Serve(args) => commands::serve::run(&args),
        #[cfg(all(unix, feature = "http"))]
        Command::Health(args) => commands::health::run(&args),
        #[cfg(feature = "pack")]
        Command::Pack(args) => commands::pack::run(&args),
        #[cfg(feature = "sign")]
        Command::Sign(args) => commands::sign::run(&args),
        Command::Verify(args) => commands::verify::run(&args),
        Command::Update(args) => commands::update::run(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// Returns the command line for manual pages and completions. Only arguments that are file names
/// are completed with file names.
#[must_use]
pub fn command_line() -> clap::Command {
    CommandLine::command().mut_subcommands(|command| {
        command.mut_args(|arg| match arg.get_value_hint() {
            ValueHint::Unknown if arg.get_action().takes_values() => arg.value_hint(ValueHint::Other),
            _ => arg,
        })
    })
}
