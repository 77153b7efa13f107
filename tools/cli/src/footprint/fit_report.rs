//! `electra footprint --target`: checks whether a model fits a device before it is flashed.

use std::fs;

use electra::{EngineOptions, ModelFile};
use electra_core::{HeadKind, arena_bytes};
use serde_json::{Value, json};

use super::resident_after_run;
use super::target::{Target, of_firmware};
use crate::failure::Failure;

/// `[CLS]`, one token of text and `[SEP]`.
const FEWEST_TOKENS: usize = 3;

/// A part of flash or RAM.
struct MemoryItem {
    name: &'static str,
    bytes: u64,
}

/// Contents of flash and RAM on a target, compared with their sizes.
pub(crate) struct FitReport {
    target: Target,
    tokens: usize,
    /// Source of the figures that are not computed.
    source: String,
    /// Further memory that a device needs and that was not measured for the target.
    not_counted: Option<&'static str>,
    flash: Memory,
    ram: Memory,
    /// Advice for contents that do not fit.
    advice: Vec<String>,
}

/// A device, and the length of the sequences for it.
pub(crate) struct Device {
    pub target: Target,
    /// Longest sequence in tokens.
    pub max_tokens: usize,
    /// Size of the flash in bytes, if it is known.
    pub flash: Option<u64>,
    /// Size of the RAM in bytes, if it is known.
    pub ram: Option<u64>,
}

struct Memory {
    name: &'static str,
    parts: Vec<MemoryItem>,
    /// Size of the memory in bytes, if the user gave it.
    size: Option<u64>,
}

impl FitReport {
    /// Collects the figures. If the target is this machine, memory is measured here. Otherwise the
    /// figures are those stored for the target, and the arena is computed.
    pub(crate) fn new(device: &Device, file: &ModelFile, options: EngineOptions) -> Result<Self, Failure> {
        let &Device { target, max_tokens, flash, ram } = device;
        let config = file.model().config();
        let max = config.max_position_embeddings;
        if !(FEWEST_TOKENS..=max).contains(&max_tokens) {
            return Err(electra::Error::MaxTokens { found: max_tokens, max }.into());
        }
        let model = file.model().file_len() as u64;
        let arena = arena_bytes(config, max_tokens) as u64;
        let memories = |code: MemoryItem, ram_parts| {
            let flash_parts = vec![code, MemoryItem { name: "model", bytes: model }];
            let flash = Memory { name: "flash", parts: flash_parts, size: flash };
            (flash, Memory { name: "RAM", parts: ram_parts, size: ram })
        };
        let (source, not_counted, (flash, ram)) = if let Some(board) = target.board() {
            let example = match config.head {
                HeadKind::Classification => "sentiment-uart",
                HeadKind::ReplacedTokenDetection => "typing-detector",
            };
            let figure = |key| of_firmware(example, key, board);
            let code = MemoryItem { name: "code", bytes: figure("code")? };
            let statics = MemoryItem { name: "data and bss", bytes: figure("data")? + figure("bss")? };
            let stack = MemoryItem { name: "stack", bytes: figure("stack")? };
            let source = format!("{example} on {board}, firmware-examples/footprint.toml");
            (source, None, memories(code, vec![MemoryItem { name: "arena", bytes: arena }, stack, statics]))
        } else if target.is_here() {
            let resident = resident_after_run(file, options)?
                .ok_or_else(|| Failure::run("this system does not report the memory of a process"))?;
            let executable = std::env::current_exe().and_then(fs::metadata);
            let executable =
                executable.map_err(|error| Failure::run(format_args!("this executable: {error}")))?;
            let executable = MemoryItem { name: "executable", bytes: executable.len() };
            let ram = vec![
                MemoryItem { name: "arena, heap and stacks", bytes: resident.anonymous_kib * 1024 },
                MemoryItem { name: PAGES, bytes: resident.file_kib * 1024 },
            ];
            ("this executable, measured now".to_owned(), None, memories(executable, ram))
        } else {
            let executable = MemoryItem { name: "executable", bytes: target.package_executable()? };
            let pages = MemoryItem { name: PAGES, bytes: executable.bytes + model };
            let ram = vec![MemoryItem { name: "arena", bytes: arena }, pages];
            let source = "the Debian package's executable, packaging/executables.toml; the arena is computed";
            (source.to_owned(), Some(SYSTEM), memories(executable, ram))
        };
        let mut fit =
            Self { target, tokens: max_tokens, source, not_counted, flash, ram, advice: Vec::new() };
        fit.advice = [fit.flash_advice(file), fit.ram_advice(file, arena)].concat();
        Ok(fit)
    }

    /// Returns whether the contents fit into all memories with a known size.
    pub(crate) fn fits(&self) -> bool {
        [&self.flash, &self.ram].into_iter().all(|memory| memory.missing().is_none())
    }

    fn flash_advice(&self, file: &ModelFile) -> Vec<String> {
        let (Some(missing), Some(size)) = (self.flash.missing(), self.flash.size) else { return Vec::new() };
        let model = file.model();
        let code = self.flash.used() - model.file_len() as u64;
        let bytes = |wanted: &[&str]| -> usize {
            let sections = model.sections().iter().filter(|it| wanted.contains(&it.kind.name()));
            sections.map(|section| section.bytes.len()).sum()
        };
        let layers = model.config().num_hidden_layers;
        let mut advice = vec![match size.checked_sub(code).filter(|room| *room > 0) {
            Some(room) => format!(
                "a model file of at most {room} bytes would fit; this one has {}, of which vocabulary and \
                 embeddings are {} and each of its {layers} layers {}",
                model.file_len(),
                bytes(&["vocabulary", "embeddings"]),
                bytes(&["encoder"]) / layers.max(1)
            ),
            None => format!("no model fits: the code alone has {code} bytes"),
        }];
        if self.target.board().is_some() {
            let room = (size + missing).div_ceil(1 << 20).next_power_of_two();
            advice.push(format!(
                "external flash that is read like memory (QSPI), {room} MiB, would hold code and model: the \
                 model is used in place"
            ));
            advice.push(
                "on Linux the model is a file on a card or disk: --target aarch64, armv7 or x86_64"
                    .to_owned(),
            );
        }
        if self.target.is_here()
            && let Ok(package) = self.target.package_executable()
            && package < code
        {
            advice.push(format!(
                "the Debian package's executable has {package} bytes instead of this one's {code} \
                 (packaging/build-deb)"
            ));
        }
        advice
    }

    /// Returns advice if RAM is too small. `arena` is the size of the arena for the requested
    /// tokens.
    fn ram_advice(&self, file: &ModelFile, arena: u64) -> Vec<String> {
        let (Some(_), Some(size)) = (self.ram.missing(), self.ram.size) else { return Vec::new() };
        let config = file.model().config();
        let pages: u64 = self.ram.parts.iter().filter(|it| it.name == PAGES).map(|it| it.bytes).sum();
        let needed = self.ram.used() - pages;
        let mut advice = Vec::new();
        if pages > 0 && needed <= size {
            advice.push(format!(
                "{needed} bytes must stay in memory; the kernel can drop pages of the model and read them \
                 again for each text, which is slower"
            ));
            return advice;
        }
        let others = needed.saturating_sub(arena);
        let with = |tokens| arena_bytes(config, tokens) as u64 + others;
        advice.push(match (FEWEST_TOKENS..self.tokens).rev().find(|tokens| with(*tokens) <= size) {
            Some(tokens) => format!(
                "sequences of up to {tokens} tokens ({} bytes) would fit: use --max-tokens {tokens}; longer \
                 texts are cut or classified in windows",
                with(tokens)
            ),
            None => format!(
                "no sequence of this model fits: {FEWEST_TOKENS} tokens need {} bytes; a model with a smaller \
                 hidden size needs less",
                with(FEWEST_TOKENS)
            ),
        });
        if self.target.board().is_some() {
            advice.push(format!(
                "external RAM for the arena ({arena} bytes for {} tokens) leaves {others} bytes for the \
                 internal RAM",
                self.tokens
            ));
        }
        advice
    }

    pub(crate) fn text(&self) -> String {
        let mut lines = vec![
            format!("target         {}, sequences of up to {} tokens", self.target.name(), self.tokens),
            format!("measured with  {}", self.source),
        ];
        lines.extend(self.not_counted.map(|what| format!("not counted    {what}")));
        for memory in [&self.flash, &self.ram] {
            lines.push(format!("{:14} {:>10} bytes{}", memory.name, memory.used(), memory.verdict()));
            for part in &memory.parts {
                lines.push(format!("  {:26} {:>10}", part.name, part.bytes));
            }
        }
        lines.extend(self.advice.iter().map(|advice| format!("advice         {advice}")));
        lines.join("\n")
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "target": self.target.name(),
            "max_tokens": self.tokens,
            "source": self.source,
            "not_counted": self.not_counted,
            "flash": self.flash.json(),
            "ram": self.ram.json(),
            "fits": self.fits(),
            "advice": self.advice,
        })
    }
}

/// Name of the part of RAM that holds pages of files. The kernel can drop them and read them again.
const PAGES: &str = "pages of model and code";
const SYSTEM: &str = "heap, stacks, C library and the system itself";

impl Memory {
    fn used(&self) -> u64 {
        self.parts.iter().map(|part| part.bytes).sum()
    }

    /// Returns the number of missing bytes, or `None` if the memory is large enough or its size is
    /// unknown.
    fn missing(&self) -> Option<u64> {
        self.size.and_then(|size| self.used().checked_sub(size)).filter(|missing| *missing > 0)
    }

    fn verdict(&self) -> String {
        match (self.size, self.missing()) {
            (None, _) => String::new(),
            (Some(size), None) => format!(" of {size}: fits, {} are left", size - self.used()),
            (Some(size), Some(missing)) => format!(" of {size}: does not fit, {missing} are missing"),
        }
    }

    fn json(&self) -> Value {
        let parts: serde_json::Map<_, _> =
            self.parts.iter().map(|part| (part.name.to_owned(), part.bytes.into())).collect();
        json!({ "parts": parts, "bytes": self.used(), "size": self.size })
    }
}
