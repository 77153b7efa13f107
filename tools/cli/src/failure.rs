//! What ends a command early, and the exit code for it.

use std::fmt::{self, Display};
use std::io::{self, Write};
use std::process::ExitCode;

use electra_formats::error::steers_terminal;

/// Prints a message on standard error. Where nobody reads that, or its disk is full, the work goes on: the exit code tells.
///
/// A message may repeat what a stranger wrote, a file's name for instance, so characters that steer a terminal are
/// escaped; line breaks are the message's own.
pub(crate) fn say(message: fmt::Arguments<'_>) {
    let message = message.to_string();
    let mut shown = String::with_capacity(message.len());
    for character in message.chars() {
        if character != '\n' && steers_terminal(character) {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    let _ = writeln!(io::stderr(), "electra: {shown}");
}

/// Why a command ends.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something failed at run time: exit code 1.
    Run(String),
    /// Parts of the input failed and were reported when met: exit code 1.
    Partly(String),
    /// The command was used wrongly in a way that the argument parser cannot see: exit code 2.
    Usage(String),
    /// Who reads our output has closed it: nothing is wrong.
    ClosedPipe,
}

impl Failure {
    pub(crate) fn run(message: impl Display) -> Self {
        Self::Run(message.to_string())
    }

    /// Prints the message, if there is one, and gives the exit code.
    pub(crate) fn report(self) -> ExitCode {
        match self {
            Self::Run(message) | Self::Partly(message) => {
                say(format_args!("{message}"));
                ExitCode::from(1)
            }
            Self::Usage(message) => {
                say(format_args!("{message}\nTry 'electra --help'."));
                ExitCode::from(2)
            }
            Self::ClosedPipe => ExitCode::SUCCESS,
        }
    }
}

/// The message; empty where nothing is wrong.
impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(message) | Self::Partly(message) | Self::Usage(message) => f.write_str(message),
            Self::ClosedPipe => Ok(()),
        }
    }
}

impl From<electra::Error> for Failure {
    fn from(error: electra::Error) -> Self {
        match error {
            electra::Error::MaxTokens { .. } | electra::Error::Without { .. } => {
                Self::Usage(error.to_string())
            }
            error => Self::run(error),
        }
    }
}

/// For reading the input.
impl From<electra_formats::Error> for Failure {
    fn from(error: electra_formats::Error) -> Self {
        Self::run(error)
    }
}

/// For writing to standard output.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::ClosedPipe
        } else {
            Self::run(format_args!("standard output: {error}"))
        }
    }
}
