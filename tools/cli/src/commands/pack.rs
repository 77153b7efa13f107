//! `electra pack`.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use electra_pack::model_file::{Packed, pack};
use electra_pack::{hugging_face, onnx};
use serde_json::json;

use crate::args::PackArgs;
use crate::failure::Failure;
use crate::output::Output;

pub(crate) fn run(args: &PackArgs) -> Result<(), Failure> {
    let source = &args.source;
    let is_onnx = source.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("onnx"));
    if args.vocab.is_some() && !is_onnx {
        return Err(Failure::Usage("--vocab goes with an .onnx file; a folder has its own".to_owned()));
    }
    let target = target(args)?;
    let before = source_bytes(source);
    let checkpoint = if is_onnx {
        onnx::read(source, &onnx::Options { vocabulary: args.vocab.clone() }).map_err(Failure::run)?
    } else {
        hugging_face::read(source).map_err(Failure::run)?
    };
    let stem =
        source.canonicalize().ok().and_then(|path| Some(path.file_stem()?.to_string_lossy().into_owned()));
    let name = args.name.clone().or(stem).unwrap_or_default();
    let metadata = [("name", name.as_str()), ("packer", concat!("electra ", env!("CARGO_PKG_VERSION")))];
    let problem = |error| Failure::run(format_args!("{}: {error}", source.display()));
    let packed = pack(&checkpoint, &metadata).map_err(problem)?;
    packed.check().map_err(problem)?;
    write_atomically(&target, &packed.bytes)?;
    let mut output = Output::new();
    let rendered = if args.json { render_json(args, &packed, before) } else { render(args, &packed, before) };
    output.line(&rendered, 0)?;
    Ok(output.finish()?)
}

/// The file to write: where a link leads, and nothing that a model must not replace.
fn target(args: &PackArgs) -> Result<PathBuf, Failure> {
    let refuse = |problem: &str| {
        Err(Failure::run(format_args!(
            "{}: {problem}, expected a model file to write",
            args.output.display()
        )))
    };
    let Ok(target) = args.output.canonicalize() else {
        return match args.output.is_symlink() {
            true => refuse("is a link to nothing"),
            false => Ok(args.output.clone()),
        };
    };
    if !target.is_file() {
        return refuse(if target.is_dir() { "is a directory" } else { "is no regular file" });
    }
    let source = args.source.canonicalize().unwrap_or_default();
    let vocabulary = args.vocab.as_ref().and_then(|path| path.canonicalize().ok());
    // Whatever a folder of Hugging Face's is made of, weights in several files among it; a model file may lie beside that.
    let of_folder = target.parent() == Some(&source)
        && target
            .extension()
            .is_some_and(|it| ["json", "safetensors", "bin", "txt"].iter().any(|one| it == *one));
    if target == source || Some(&target) == vocabulary.as_ref() || of_folder {
        return refuse("is of the source");
    }
    Ok(target)
}

/// Writes beside the target and renames, so that a model in use is replaced and never torn.
fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(format!(".{}.partial", std::process::id()));
    let partial = Path::new(&partial);
    let created = fs::File::options().write(true).create_new(true).open(partial);
    let write = |mut file: fs::File| {
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(partial, path)
    };
    let written = created.and_then(|file| {
        write(file).inspect_err(|_| {
            // Best effort: the error that matters is already at hand.
            let _ = fs::remove_file(partial);
        })
    });
    written.map_err(|error| Failure::run(format_args!("{}: {error}", path.display())))
}

/// Bytes of the weights as they came.
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
