//! `electra inspect`.

use electra::ModelFile;
use electra_core::{Config, HeadKind, Kernels};
use serde_json::{Value, json};

use crate::args::{InspectArgs, open_model};
use crate::failure::Failure;
use crate::output::{Output, one_line};

pub(crate) fn run(args: &InspectArgs) -> Result<(), Failure> {
    let file = open_model(args.file.as_ref())?;
    let mut output = Output::new();
    let rendered = if args.print.json { render_json(&file).to_string() } else { render(&file) };
    output.line(&rendered, 0)?;
    Ok(output.finish()?)
}

fn render(file: &ModelFile) -> String {
    let model = file.model();
    let mut lines = vec![format!(
        "{}: {} bytes, fingerprint {:08x}",
        file.path().display(),
        model.file_len(),
        model.fingerprint()
    )];
    lines
        .extend(model.metadata().lines().map(|line| format!("  {}", one_line(&line.replacen('=', ": ", 1)))));
    lines.push("config".to_owned());
    lines.extend(fields(model.config()).into_iter().map(|(name, value)| format!("  {name:24} {value}")));
    if model.config().head == HeadKind::Classification {
        lines.push(format!("  {:24} {}", "labels", one_line(&model.labels().collect::<Vec<_>>().join(", "))));
    }
    lines.push(format!("sections{:>20} {:>10}  checksum", "offset", "bytes"));
    for section in model.sections() {
        let (name, len) = (section.kind.name(), section.bytes.len());
        lines.push(format!("  {name:16} {:>10} {len:>10}  {:08x} ok", section.offset, section.crc));
    }
    let kernels: Vec<_> = Kernels::all().map(Kernels::name).collect();
    lines.push(format!("kernels: {} (this machine has {})", Kernels::detect().name(), kernels.join(", ")));
    lines.join("\n")
}

fn render_json(file: &ModelFile) -> Value {
    let model = file.model();
    let config: serde_json::Map<_, _> =
        fields(model.config()).into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let sections: Vec<_> = model
        .sections()
        .iter()
        .map(|section| {
            json!({
                "name": section.kind.name(),
                "offset": section.offset,
                "bytes": section.bytes.len(),
                "crc32": format!("{:08x}", section.crc),
            })
        })
        .collect();
    let metadata: serde_json::Map<_, _> = model
        .metadata()
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.to_owned(), Value::from(value)))
        .collect();
    json!({
        "file": file.path().display().to_string(),
        "bytes": model.file_len(),
        "fingerprint": format!("{:08x}", model.fingerprint()),
        "metadata": metadata,
        "config": config,
        "labels": model.labels().collect::<Vec<_>>(),
        "sections": sections,
        "kernels": {
            "chosen": Kernels::detect().name(),
            "available": Kernels::all().map(Kernels::name).collect::<Vec<_>>(),
        },
    })
}

fn fields(config: &Config) -> Vec<(&'static str, Value)> {
    let head = match config.head {
        HeadKind::Classification => "classification",
        HeadKind::ReplacedTokenDetection => "replaced-token detection",
    };
    vec![
        ("head", head.into()),
        ("vocab_size", config.vocab_size.into()),
        ("embedding_size", config.embedding_size.into()),
        ("hidden_size", config.hidden_size.into()),
        ("num_hidden_layers", config.num_hidden_layers.into()),
        ("num_attention_heads", config.num_attention_heads.into()),
        ("intermediate_size", config.intermediate_size.into()),
        ("max_position_embeddings", config.max_position_embeddings.into()),
        ("type_vocab_size", config.type_vocab_size.into()),
        ("layer_norm_eps", config.layer_norm_eps.into()),
    ]
}
