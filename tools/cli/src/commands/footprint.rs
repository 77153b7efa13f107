//! `electra footprint`.

use std::fs;

use electra::{EngineKind, EngineOptions, ModelFile};
use electra_core::arena_bytes;
use electra_formats::output_file::{Kind, OutputFile};
use serde_json::json;

use crate::args::{FootprintArgs, open_model};
use crate::failure::Failure;
use crate::footprint::{
    ArenaPart, Column, Device, FitReport, Resident, draw_arena, parts, phase_name, resident_after_run,
};
use crate::output::Output;

/// Sequence lengths in the table and the picture. Lengths beyond the positions of the model are
/// omitted.
const LENGTHS: [usize; 7] = [8, 16, 32, 64, 128, 256, 512];

pub(crate) fn run(args: &FootprintArgs) -> Result<(), Failure> {
    let picture = args.svg.as_ref().map(|path| OutputFile::new(path, Kind::Svg)).transpose()?;
    let file = open_model(args.model.as_ref())?;
    let engine = args.engine.unwrap_or_default();
    let options = EngineOptions::new().engine(engine).max_tokens(args.max_tokens);
    let mut output = Output::new();
    if let Some(target) = args.target {
        let device = Device { target, max_tokens: args.max_tokens, flash: args.flash, ram: args.ram };
        let fit = FitReport::new(&device, &file, options)?;
        output.line(&if args.print.json { fit.json().to_string() } else { fit.text() }, 0)?;
        output.finish()?;
        return match fit.fits() {
            true => Ok(()),
            false => Err(Failure::run("the model does not fit the target")),
        };
    }
    let resident = resident_after_run(&file, options)?;
    let code = std::env::current_exe().and_then(fs::metadata).map_or(0, |metadata| metadata.len());
    let config = file.model().config();
    let parts = parts(&file, args.max_tokens);
    let lengths: Vec<(usize, usize)> = LENGTHS
        .into_iter()
        .filter(|tokens| *tokens <= config.max_position_embeddings)
        .map(|tokens| (tokens, arena_bytes(config, tokens)))
        .collect();
    if let Some(picture) = picture {
        draw(&picture, &file, &lengths)?;
    }
    let report = Report { file: &file, engine, parts, lengths, code, resident, max_tokens: args.max_tokens };
    output.line(&if args.print.json { report.json() } else { report.text() }, 0)?;
    Ok(output.finish()?)
}

fn draw(picture: &OutputFile, file: &ModelFile, lengths: &[(usize, usize)]) -> Result<(), Failure> {
    let columns: Vec<_> = lengths
        .iter()
        .map(|(tokens, bytes)| Column { tokens: *tokens, bytes: *bytes, parts: parts(file, *tokens) })
        .collect();
    let svg = draw_arena(&columns).map_err(Failure::run)?;
    Ok(picture.write(svg.as_bytes())?)
}

struct Report<'a> {
    file: &'a ModelFile,
    engine: EngineKind,
    parts: Vec<ArenaPart>,
    lengths: Vec<(usize, usize)>,
    code: u64,
    resident: Option<Resident>,
    max_tokens: usize,
}

impl Report<'_> {
    fn text(&self) -> String {
        let model = self.file.model();
        let mut lines =
            vec![format!("model file     {:>10} bytes, mapped and used in place", model.file_len())];
        for section in model.sections() {
            lines.push(format!("  {:12} {:>10}", section.kind.name(), section.bytes.len()));
        }
        lines.push(format!("executable     {:>10} bytes, this one", self.code));
        let arena = arena_bytes(model.config(), self.max_tokens);
        lines.push(format!("arena          {arena:>10} bytes for {} tokens", self.max_tokens));
        let mut phase = None;
        for part in &self.parts {
            if phase != Some(part.phase) {
                lines.push(format!("  {}", phase_name(part.phase)));
                phase = Some(part.phase);
            }
            lines.push(format!("    {:26} {:>8}", part.name, part.bytes));
        }
        lines.push("arena by longest sequence".to_owned());
        for (tokens, bytes) in &self.lengths {
            lines.push(format!("  {tokens:>4} tokens {bytes:>10} bytes"));
        }
        match &self.resident {
            Some(resident) => lines.push(format!(
                "resident       {:>10} KiB at most so far; now {} KiB anonymous, {} KiB of files ({} engine)",
                resident.peak_kib,
                resident.anonymous_kib,
                resident.file_kib,
                self.engine.name()
            )),
            None => lines.push("resident       not reported by this system".to_owned()),
        }
        lines.join("\n")
    }

    fn json(&self) -> String {
        let model = self.file.model();
        let sections: serde_json::Map<_, _> = model
            .sections()
            .iter()
            .map(|section| (section.kind.name().to_owned(), section.bytes.len().into()))
            .collect();
        let parts: Vec<_> = self
            .parts
            .iter()
            .map(|part| json!({ "phase": phase_name(part.phase), "name": part.name, "bytes": part.bytes }))
            .collect();
        let lengths: Vec<_> =
            self.lengths.iter().map(|(tokens, bytes)| json!({ "tokens": tokens, "bytes": bytes })).collect();
        let resident = self.resident.as_ref().map(|resident| {
            json!({
                "peak_kib": resident.peak_kib,
                "anonymous_kib": resident.anonymous_kib,
                "file_kib": resident.file_kib,
            })
        });
        json!({
            "model_bytes": model.file_len(),
            "sections": sections,
            "executable_bytes": self.code,
            "max_tokens": self.max_tokens,
            "arena_bytes": arena_bytes(model.config(), self.max_tokens),
            "arena_parts": parts,
            "arena_by_tokens": lengths,
            "engine": self.engine.name(),
            "resident": resident,
        })
        .to_string()
    }
}
