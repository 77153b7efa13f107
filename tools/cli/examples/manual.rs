//! Writes the manual pages and shell completions of `electra` into a folder:
//! `cargo run --example manual -- FOLDER`.
//!
//! This is an example so that the code is not part of the executable. Only packaging needs it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::builder::Resettable;
use clap_complete::Shell;
use clap_mangen::Man;

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

/// Writes all manual pages and completions into `folder`.
///
/// # Errors
/// Fails if the folder or a file cannot be written.
pub fn write(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
        clap_complete::generate_to(shell, &mut electra_cli::command_line(), "electra", folder)?;
    }
    // `electra help COMMAND` shows the text of these pages, so it needs no page.
    let mut command = electra_cli::command_line().disable_help_subcommand(true);
    command.build();
    write_pages(&command, folder)
}

/// Writes a page for the command and one for each of its subcommands.
fn write_pages(command: &clap::Command, folder: &Path) -> io::Result<()> {
    for below in command.get_subcommands() {
        write_pages(below, folder)?;
    }
    // clap_mangen would put the text after the options into a single section named EXTRA.
    let man = Man::new(command.clone().after_help(Resettable::Reset));
    let mut page = Vec::new();
    man.render(&mut page)?;
    let page = String::from_utf8(page).map_err(io::Error::other)?;
    let at = page.find("\n.SH VERSION").map_or(page.len(), |at| at + 1);
    let (before, after) = page.split_at(at);
    let sections = command.get_after_help().map(|help| sections(&help.to_string())).unwrap_or_default();
    fs::write(folder.join(man.get_filename()), format!("{before}{sections}{after}"))
}

/// Converts the paragraphs of the help to sections. A paragraph begins with its heading and a
/// colon.
fn sections(help: &str) -> String {
    let mut page = String::new();
    for line in help.lines() {
        let text = roff(line.trim_start());
        if let Some(heading) = line.strip_suffix(':').filter(|line| !line.starts_with(' ')) {
            let end = if page.is_empty() { "" } else { ".fi\n" };
            page.extend([end, ".SH ", &heading.to_uppercase(), "\n.nf\n"]);
        } else if !text.is_empty() {
            page.extend([&*text, "\n"]);
        }
    }
    page + ".fi\n"
}

/// Escapes a line for roff. Hyphens are escaped as well, so they can be copied into a shell.
fn roff(line: &str) -> String {
    let escaped = line.replace('\\', "\\e").replace('-', "\\-");
    if escaped.starts_with(['.', '\'']) { format!("\\&{escaped}") } else { escaped }
}
