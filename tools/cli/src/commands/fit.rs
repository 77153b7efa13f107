//! `electra footprint --target`: whether a model fits a device, before anything is flashed.

use std::env::consts::ARCH;

use clap::ValueEnum;
use electra::ModelFile;
use electra_core::{HeadKind, arena_bytes};
use serde_json::{Value, json};

use super::footprint::Resident;
use crate::args::FootprintArgs;
use crate::failure::Failure;

/// What `firmware-examples/test.sh` measured of the examples, in the document that it keeps: the one place of these figures.
const MEASURED: &str = include_str!("../../../../firmware-examples/FOOTPRINT.md");

/// What a model is to run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Target {
    /// Cortex-M4 and M7 without an operating system
    Thumbv7em,
    /// Cortex-M33
    #[value(name = "thumbv8m.main")]
    Thumbv8m,
    /// Cortex-M55 and M85, with vectors
    #[value(name = "thumbv8.1m.main")]
    Thumbv81m,
    /// 32-bit RISC-V without an operating system
    Riscv32imac,
    /// Linux on 64-bit Arm: Raspberry Pi 3, 4, 5, Zero 2 W
    Aarch64,
    /// Linux on 32-bit Arm
    Armv7,
    /// Linux on a PC
    #[value(name = "x86_64")]
    X86_64,
}

impl Target {
    /// The board whose figures stand for the target; none where there is an operating system.
    fn board(self) -> Option<&'static str> {
        match self {
            Self::Thumbv7em => Some("mps2-an500"),
            Self::Thumbv8m => Some("mps2-an505"),
            Self::Thumbv81m => Some("mps3-an547"),
            Self::Riscv32imac => Some("riscv-virt"),
            Self::Aarch64 | Self::Armv7 | Self::X86_64 => None,
        }
    }

    fn name(self) -> String {
        self.to_possible_value().map_or(String::new(), |value| value.get_name().to_owned())
    }
}

/// A part of one of the two memories.
struct Part {
    name: &'static str,
    bytes: u64,
}

/// What lies where, and whether there is room.
pub(crate) struct Fit {
    target: Target,
    tokens: usize,
    /// Where the figures that are not computed come from.
    source: String,
    flash: Memory,
    ram: Memory,
}

struct Memory {
    name: &'static str,
    parts: Vec<Part>,
    /// What the device has, where it was said.
    size: Option<u64>,
}

impl Fit {
    /// `resident` is what this process had in memory after a run of as many tokens.
    pub(crate) fn new(
        target: Target,
        args: &FootprintArgs,
        file: &ModelFile,
        executable: u64,
        resident: Option<&Resident>,
    ) -> Result<Self, Failure> {
        let config = file.model().config();
        let model = Part { name: "model", bytes: file.model().file_len() as u64 };
        let (source, flash, ram) = match target.board() {
            Some(board) => {
                let example = match config.head {
                    HeadKind::Classification => "sentiment-uart",
                    HeadKind::ReplacedTokenDetection => "typing-detector",
                };
                let figure =
                    |row| measured(example, row, board).ok_or_else(|| unreadable(example, row, board));
                let data = figure("data")?;
                let flash = vec![
                    Part { name: "code", bytes: figure("code: text, rodata, vector table, data")? },
                    model,
                ];
                let ram = vec![
                    Part { name: "arena", bytes: arena_bytes(config, args.max_tokens) as u64 },
                    Part { name: "stack", bytes: figure("stack, reserved")? },
                    Part { name: "data and bss", bytes: data + figure("bss")? },
                ];
                (format!("{example} on {board}, firmware-examples/FOOTPRINT.md"), flash, ram)
            }
            None => {
                let resident = resident
                    .ok_or_else(|| Failure::run("this system does not say how much memory a process has"))?;
                let flash = vec![Part { name: "executable", bytes: executable }, model];
                let ram = vec![
                    Part { name: "arena, heap and stacks", bytes: resident.anonymous_kib * 1024 },
                    Part { name: "pages of model and code", bytes: resident.file_kib * 1024 },
                ];
                let source = match target.name() == ARCH || (target == Target::Armv7 && ARCH == "arm") {
                    true => "this executable, measured now".to_owned(),
                    false => format!("this executable, which is for {ARCH}, measured now"),
                };
                (source, flash, ram)
            }
        };
        Ok(Self {
            target,
            tokens: args.max_tokens,
            source,
            flash: Memory { name: "flash", parts: flash, size: args.flash },
            ram: Memory { name: "RAM", parts: ram, size: args.ram },
        })
    }

    /// Whether nothing that was said to be there is too small.
    pub(crate) fn fits(&self) -> bool {
        [&self.flash, &self.ram]
            .into_iter()
            .all(|memory| memory.size.is_none_or(|size| memory.used() <= size))
    }

    pub(crate) fn text(&self) -> String {
        let mut lines = vec![
            format!("target         {}, sequences of up to {} tokens", self.target.name(), self.tokens),
            format!("measured with  {}", self.source),
        ];
        for memory in [&self.flash, &self.ram] {
            lines.push(format!("{:14} {:>10} bytes{}", memory.name, memory.used(), memory.verdict()));
            for part in &memory.parts {
                lines.push(format!("  {:26} {:>10}", part.name, part.bytes));
            }
        }
        lines.join("\n")
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "target": self.target.name(),
            "max_tokens": self.tokens,
            "source": self.source,
            "flash": self.flash.json(),
            "ram": self.ram.json(),
            "fits": self.fits(),
        })
    }
}

impl Memory {
    fn used(&self) -> u64 {
        self.parts.iter().map(|part| part.bytes).sum()
    }

    fn verdict(&self) -> String {
        let used = self.used();
        match self.size {
            None => String::new(),
            Some(size) if used <= size => format!(" of {size}: fits, {} are left", size - used),
            Some(size) => format!(" of {size}: does not fit, {} are missing", used - size),
        }
    }

    fn json(&self) -> Value {
        let parts: serde_json::Map<_, _> =
            self.parts.iter().map(|part| (part.name.to_owned(), part.bytes.into())).collect();
        json!({ "parts": parts, "bytes": self.used(), "size": self.size })
    }
}

/// The figure in the table of `example`, in the row `row` and the column `board`.
fn measured(example: &str, row: &str, board: &str) -> Option<u64> {
    let heading = format!("## {example}");
    let mut table =
        MEASURED.lines().skip_while(|line| !line.starts_with(&heading)).filter(|it| it.starts_with('|'));
    let cells = |line: &'static str| line.trim_matches('|').split('|').map(str::trim);
    let column = cells(table.next()?).position(|cell| cell == board)?;
    let line = table.find(|line| cells(line).next() == Some(row))?;
    cells(line).nth(column)?.replace(',', "").parse().ok()
}

fn unreadable(example: &str, row: &str, board: &str) -> Failure {
    Failure::run(format_args!("FOOTPRINT.md: {example}, {board}: found no figure, expected one for {row}"))
}

/// A size in bytes, with `K` or `M` after it for 1024 of them or the square of that.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(['B', 'b']).trim_end_matches(['i']);
    let (number, unit) = match digits.char_indices().last() {
        Some((at, 'K' | 'k')) => (&digits[..at], 1 << 10),
        Some((at, 'M' | 'm')) => (&digits[..at], 1 << 20),
        Some((at, 'G' | 'g')) => (&digits[..at], 1 << 30),
        _ => (digits, 1),
    };
    let size = number.trim().parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    size.ok_or_else(|| "expected bytes, for instance 524288, 512K or 16M".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_is_in_the_document() {
        for target in Target::value_variants() {
            let Some(board) = target.board() else { continue };
            for example in ["sentiment-uart", "typing-detector"] {
                for row in ["code: text, rodata, vector table, data", "stack, reserved", "data", "bss"] {
                    assert!(measured(example, row, board).is_some(), "{example}, {row}, {board}");
                }
            }
        }
        assert_eq!(measured("sentiment-uart", "no such row", "mps2-an500"), None);
    }

    #[test]
    fn sizes() {
        for (text, size) in [("524288", 524_288), ("512K", 524_288), ("512KiB", 524_288), ("16M", 1 << 24)] {
            assert_eq!(parse_size(text), Ok(size));
        }
        for text in ["", "K", "-1", "1.5M", "99999999999999G", "16X"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }
}
