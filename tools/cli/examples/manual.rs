//! Writes the manual pages and shell completions of `electra` into a folder: `cargo run --example manual -- FOLDER`.
//!
//! An example, since only packaging needs it, and the executable need not carry it.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap_complete::Shell;

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: manual FOLDER");
        return ExitCode::from(2);
    };
    match write(&folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", folder.display());
            ExitCode::from(1)
        }
    }
}

fn write(folder: &std::path::Path) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
        clap_complete::generate_to(shell, &mut electra_cli::command_line(), "electra", folder)?;
    }
    // `electra help COMMAND` shows these pages' text, it needs none of its own.
    clap_mangen::generate_to(electra_cli::command_line().disable_help_subcommand(true), folder)
}
