//! The memory of a model: arena, resident memory, and flash and RAM of a target.

mod arena_chart;
mod fit_report;
mod size;
mod target;

use std::fs;

use electra::{Classifier, ClassifierOptions, Detector, EngineOptions, ModelFile};
use electra_core::{HeadKind, Phase, arena_parts};

use crate::failure::Failure;

pub(crate) use arena_chart::{Column, draw as draw_arena};
pub(crate) use fit_report::{Device, FitReport};
pub(crate) use size::parse_size;
pub(crate) use target::{Target, TargetParser};

/// One buffer of the arena.
pub(crate) struct ArenaPart {
    pub phase: Phase,
    pub name: &'static str,
    pub bytes: usize,
}

/// Resident memory of this process.
pub(crate) struct Resident {
    pub peak_kib: u64,
    pub anonymous_kib: u64,
    pub file_kib: u64,
}

/// Runs the longest sequence and returns the resident memory while the engine and its arena exist.
pub(crate) fn resident_after_run(
    file: &ModelFile,
    options: EngineOptions,
) -> Result<Option<Resident>, Failure> {
    // A length above the limit of the model is refused when the engine is created.
    let longest = file.model().config().max_position_embeddings;
    let text = "word ".repeat(options.max_tokens.unwrap_or(0).min(longest));
    match file.model().config().head {
        HeadKind::Classification => {
            let options = ClassifierOptions::new().engine(options).truncate(true);
            let mut classifier = Classifier::new(file, &options)?;
            classifier.classify(&text)?;
            Ok(resident())
        }
        HeadKind::ReplacedTokenDetection => {
            let mut detector = Detector::new(file, &options)?;
            detector.detect(&text)?;
            Ok(resident())
        }
    }
}

/// Returns the buffers of the arena for sequences of up to `tokens` tokens.
pub(crate) fn parts(file: &ModelFile, tokens: usize) -> Vec<ArenaPart> {
    let mut parts = Vec::new();
    arena_parts(file.model().config(), tokens, |phase, name, bytes| {
        if bytes > 0 {
            parts.push(ArenaPart { phase, name, bytes });
        }
    });
    parts
}

/// Reads the resident memory from Linux. Returns `None` on other systems.
fn resident() -> Option<Resident> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().trim_end_matches(" kB").parse().ok()
    };
    Some(Resident {
        peak_kib: field("VmHWM")?,
        anonymous_kib: field("RssAnon")?,
        file_kib: field("RssFile")?,
    })
}

/// Returns the name of a phase for readers.
pub(crate) fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Run => "whole run",
        Phase::Embedding => "embedding",
        Phase::Attention => "attention",
        Phase::FeedForward => "feed-forward",
        Phase::Head => "head",
    }
}
