//! The command `electra`; see the library beside this file.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    electra_cli::run()
}
