//! `electra pack`.

use std::fs;
use std::path::Path;

use electra_formats::output_file::{Kind, OutputFile};
use electra_pack::{Packed, Source, is_model_file, is_onnx};
use serde_json::json;

use crate::args::PackArgs;
use crate::failure::Failure;
use crate::output::Output;

pub(crate) fn run(args: &PackArgs) -> Result<(), Failure> {
    let source = &args.source;
    if args.vocab.is_some() && !is_onnx(source) {
        return Err(Failure::Usage(
            "--vocab is only for .onnx files; a folder contains its vocabulary".to_owned(),
        ));
    }
    let target = OutputFile::new(&args.output, Kind::Model)?;
    let before = source_bytes(source);
    let mut from = Source::new(source)
        .vocabulary(args.vocab.clone())
        .name(args.name.clone())
        .language(args.language.clone())
        .version(args.model_version);
    for (label, score) in &args.threshold {
        from = from.threshold(label, score);
    }
    for text in &args.golden {
        from = from.golden(text);
    }
    let rendered = if is_model_file(source) {
        let changed = from.change_metadata().map_err(Failure::run)?;
        target.write(&changed)?;
        render_changed(args, changed.len())
    } else {
        let packed = from.pack().map_err(Failure::run)?;
        target.write(&packed.bytes)?;
        if args.print.json { render_json(args, &packed, before) } else { render(args, &packed, before) }
    };
    let mut output = Output::new();
    output.line(&rendered, 0)?;
    Ok(output.finish()?)
}

fn render_changed(args: &PackArgs, bytes: usize) -> String {
    let (source, output) = (args.source.display(), args.output.display());
    match args.print.json {
        true => json!({
            "source": source.to_string(),
            "output": output.to_string(),
            "output_bytes": bytes,
        })
        .to_string(),
        false => format!("{output}: {bytes} bytes, {source} with other metadata"),
    }
}

/// Returns the size of the source weights in bytes.
fn source_bytes(source: &Path) -> u64 {
    let len = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
    if !source.is_dir() {
        return len(source);
    }
    let Ok(entries) = fs::read_dir(source) else { return 0 };
    let weights = entries.flatten().map(|entry| entry.path());
    weights.filter(|path| path.extension().is_some_and(|e| e == "safetensors")).map(|path| len(&path)).sum()
}

fn render(args: &PackArgs, packed: &Packed, before: u64) -> String {
    let config = &packed.config;
    let mut lines = vec![
        format!(
            "{}: {} layers, hidden size {}, {} parameters",
            args.source.display(),
            config.num_hidden_layers,
            config.hidden_size,
            packed.parameters()
        ),
        format!("{:66} {:>14} {:>9} {:>10} {:>9}", "tensor", "shape", "bytes", "max error", "relative"),
    ];
    for tensor in &packed.tensors {
        let shape = tensor.shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x");
        let error = tensor.error.map_or_else(
            || format!("{:>10} {:>9}", "f32", ""),
            |error| format!("{:>10.6} {:>8.3}%", error.largest, 100.0 * error.relative),
        );
        lines.push(format!("{:66} {shape:>14} {:>9} {error}", tensor.name, tensor.bytes));
    }
    lines.push(format!(
        "{}: {} bytes, from {before} bytes of weights ({:.2}x smaller)",
        args.output.display(),
        packed.bytes.len(),
        before as f64 / packed.bytes.len() as f64
    ));
    lines.join("\n")
}

fn render_json(args: &PackArgs, packed: &Packed, before: u64) -> String {
    let tensors: Vec<_> = packed
        .tensors
        .iter()
        .map(|tensor| {
            json!({
                "name": tensor.name,
                "shape": tensor.shape,
                "bytes": tensor.bytes,
                "largest_error": tensor.error.map(|error| error.largest),
                "relative_error": tensor.error.map(|error| error.relative),
            })
        })
        .collect();
    let sections: serde_json::Map<_, _> =
        packed.sections.iter().map(|(kind, bytes)| (kind.name().to_owned(), (*bytes).into())).collect();
    json!({
        "source": args.source.display().to_string(),
        "source_bytes": before,
        "output": args.output.display().to_string(),
        "output_bytes": packed.bytes.len(),
        "parameters": packed.parameters(),
        "layers": packed.config.num_hidden_layers,
        "sections": sections,
        "tensors": tensors,
    })
    .to_string()
}
