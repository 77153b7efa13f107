//! Reasons for ending a command early, with their exit codes.

use std::fmt::{self, Display};
use std::io::{self, Write};
use std::process::ExitCode;

use electra_formats::error::controls_terminal;

/// Prints a message on standard error. A write error is ignored, because the exit code reports the
/// failure as well.
///
/// A message may contain text from outside, for example the name of a file. Characters that control
/// a terminal are therefore escaped. Line breaks stay, because they belong to the message.
pub(crate) fn report(message: fmt::Arguments<'_>) {
    let message = message.to_string();
    let mut shown = String::with_capacity(message.len());
    for character in message.chars() {
        if character != '\n' && controls_terminal(character) {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    let _ = writeln!(io::stderr(), "electra: {shown}");
}

/// Reason for ending a command early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something failed at run time: exit code 1.
    Run(String),
    /// Parts of the input failed and were already reported: exit code 1.
    Partly(String),
    /// The command line is wrong in a way that the argument parser cannot detect: exit code 2.
    Usage(String),
    /// The reader of standard output has closed it, which is not an error: exit code 0.
    ClosedPipe,
}

impl Failure {
    pub(crate) fn run(message: impl Display) -> Self {
        Self::Run(message.to_string())
    }

    /// Prints the message, if there is one, and returns the exit code.
    pub(crate) fn report(self) -> ExitCode {
        match self {
            Self::Run(message) | Self::Partly(message) => {
                report(format_args!("{message}"));
                ExitCode::from(1)
            }
            Self::Usage(message) => {
                report(format_args!("{message}\nTry 'electra --help'."));
                ExitCode::from(2)
            }
            Self::ClosedPipe => ExitCode::SUCCESS,
        }
    }
}

/// Formats the message. It is empty for [`Failure::ClosedPipe`].
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

/// Converts errors of reading the input.
impl From<electra_formats::Error> for Failure {
    fn from(error: electra_formats::Error) -> Self {
        Self::run(error)
    }
}

/// Converts errors of writing to standard output.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::ClosedPipe
        } else {
            Self::run(format_args!("standard output: {error}"))
        }
    }
}
