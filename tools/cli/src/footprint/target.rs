//! The targets of a model and the figures that were measured for them.

use std::env::consts::{ARCH, OS};
use std::ffi::OsStr;

use clap::builder::{EnumValueParser, PossibleValue, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Arg, Command, Error, ValueEnum};

use crate::failure::Failure;

/// The figures that `firmware-examples/test.sh` and `packaging/measure-executables` measured. The
/// build script writes them from their files.
mod figures {
    include!(concat!(env!("OUT_DIR"), "/figures.rs"));
}

/// A target of a model. The aliases are names of processors and boards, and names that Debian and
/// Rust use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Target {
    /// Cortex-M4 and M7 without an operating system
    #[value(aliases = ["cortex-m4", "cortex-m7", "m4", "m7", "thumbv7em-none-eabihf"])]
    Thumbv7em,
    /// Cortex-M33
    #[value(name = "thumbv8m.main", aliases = ["cortex-m33", "m33", "thumbv8m.main-none-eabihf"])]
    Thumbv8m,
    /// Cortex-M55 and M85, with vectors
    #[value(name = "thumbv8.1m.main", aliases = ["cortex-m55", "cortex-m85", "m55", "m85"])]
    Thumbv81m,
    /// 32-bit RISC-V without an operating system
    #[value(aliases = ["riscv32", "rv32imac", "riscv32imac-unknown-none-elf"])]
    Riscv32imac,
    /// Linux on 64-bit Arm: Raspberry Pi 3, 4, 5, Zero 2 W
    #[value(aliases = [
        "arm64", "cortex-a53", "cortex-a55", "cortex-a72", "cortex-a76", "a53", "a55", "a72", "a76",
        "raspberry-pi-3", "raspberry-pi-4", "raspberry-pi-5", "raspberry-pi-zero-2-w", "pi3", "pi4",
        "pi5", "aarch64-unknown-linux-gnu",
    ])]
    Aarch64,
    /// Linux on 32-bit Arm, Armv7 or later: Raspberry Pi 2, and later ones with a 32-bit system
    #[value(aliases = [
        "armhf", "cortex-a7", "a7", "raspberry-pi-2", "pi2", "armv7-unknown-linux-gnueabihf",
    ])]
    Armv7,
    /// Linux on a PC
    #[value(name = "x86_64", aliases = ["amd64", "x86-64", "x86_64-unknown-linux-gnu"])]
    X86_64,
}

impl Target {
    /// Returns the board that provides the figures of the target; `None` for targets with an
    /// operating system.
    pub(crate) fn board(self) -> Option<&'static str> {
        match self {
            Self::Thumbv7em => Some("mps2-an500"),
            Self::Thumbv8m => Some("mps2-an505"),
            Self::Thumbv81m => Some("mps3-an547"),
            Self::Riscv32imac => Some("riscv-virt"),
            Self::Aarch64 | Self::Armv7 | Self::X86_64 => None,
        }
    }

    pub(crate) fn name(self) -> String {
        self.to_possible_value().map_or(String::new(), |value| value.get_name().to_owned())
    }

    /// Returns whether this process runs on a machine of this kind, so that measurements here apply
    /// to the target.
    pub(crate) fn is_here(self) -> bool {
        let architecture = match self {
            Self::Aarch64 => "aarch64",
            Self::Armv7 => "arm",
            Self::X86_64 => "x86_64",
            Self::Thumbv7em | Self::Thumbv8m | Self::Thumbv81m | Self::Riscv32imac => return false,
        };
        (OS, ARCH) == ("linux", architecture)
    }

    /// Returns the size in bytes of the executable in the Debian package for this target.
    ///
    /// # Errors
    /// Fails if there is no figure.
    pub(crate) fn package_executable(self) -> Result<u64, Failure> {
        let name = self.name();
        let figure = figures::EXECUTABLES.iter().find(|(target, _)| *target == name);
        figure.map(|(_, bytes)| *bytes).ok_or_else(|| {
            Failure::run(format_args!("executables.toml: found no figure, expected one for {name}"))
        })
    }
}

/// Parses the name of a target. The error for an unknown name describes all targets.
#[derive(Clone)]
pub(crate) struct TargetParser;

impl TypedValueParser for TargetParser {
    type Value = Target;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<Target, Error> {
        EnumValueParser::new().parse_ref(command, arg, value).map_err(|_| {
            let mut message = format!(
                "--target: found '{}', expected one of these targets, or one of their processors:",
                value.display()
            );
            for target in Target::value_variants().iter().filter_map(ValueEnum::to_possible_value) {
                let what = target.get_help().map(ToString::to_string).unwrap_or_default();
                message += &format!("\n  {:15} {what}", target.get_name());
            }
            command.clone().error(ErrorKind::InvalidValue, message)
        })
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(Target::value_variants().iter().filter_map(ValueEnum::to_possible_value)))
    }
}

/// Returns a figure of a firmware example on a board, in bytes. `key` is that of footprint.toml.
pub(crate) fn of_firmware(example: &str, key: &str, board: &str) -> Result<u64, Failure> {
    let is_it = |figure: &&(&str, &str, &str, u64)| (figure.0, figure.1, figure.2) == (example, board, key);
    let figure = figures::FIRMWARE.iter().find(is_it);
    figure.map(|figure| figure.3).ok_or_else(|| {
        Failure::run(format_args!("footprint.toml: {example}.{board}: found no figure, expected {key}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_its_figures() {
        for target in Target::value_variants() {
            let Some(board) = target.board() else {
                // The size shows that the package executable contains no model.
                assert!(target.package_executable().is_ok_and(|bytes| (1 << 20..8 << 20).contains(&bytes)));
                continue;
            };
            for example in ["sentiment-uart", "typing-detector"] {
                for key in ["code", "stack", "data", "bss"] {
                    assert!(of_firmware(example, key, board).is_ok(), "{example}, {key}, {board}");
                }
            }
        }
        assert!(of_firmware("sentiment-uart", "no_such_key", "mps2-an500").is_err());
    }
}
