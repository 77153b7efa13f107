//! Checkpoints as ONNX files, as exporters of PyTorch and ONNX Runtime's dynamic quantizer leave them.
//!
//! An ONNX file is a graph, not a list of named weights: exporters transpose the matrices of linear layers and give
//! them numbers for names. What they keep are the names of biases, LayerNorm parameters and embeddings, so each
//! matrix is found by following the graph back from the addition of its bias.

mod graph;
mod infer;
mod interpret;
mod tensor;
mod verify;
mod weights;

use std::path::{Path, PathBuf};

use electra_formats::file::{MAX_WEIGHT_FILE, open};
use electra_formats::tokenizer::{self, BERT};
use tract_onnx::prelude::Framework;

use crate::checkpoint::{Checkpoint, Config, check_vocabulary_fits};
use crate::error::Error;
use crate::hugging_face::config;
use crate::hugging_face::weights::{SIZES, note};
use graph::Graph;
use weights::Weights;

/// What an ONNX file does not say itself.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The vocabulary, as `vocab.txt` or `tokenizer.json`. Without it the file has to be beside the model.
    pub vocabulary: Option<PathBuf>,
}

/// Reads an ONNX file of an `ElectraForSequenceClassification` or `ElectraForPreTraining`.
///
/// Supported are the graphs of `torch.onnx.export` (with and without `dynamo`; `optimum` uses the latter) with
/// weights in f32, f16, bf16 or f64, inside the file or external, and those graphs after `quantize_dynamic` of ONNX
/// Runtime, whose 8-bit weights are turned back into f32. Graphs whose operators an optimizer has fused are refused.
///
/// A `config.json` beside the model (or above it, in the `onnx` folder layout) is used and compared with the graph.
/// Without one, sizes come from the shapes, the number of heads and the LayerNorm epsilon from the graph, and labels
/// are called `LABEL_0`, `LABEL_1`, ...
///
/// # Errors
///
/// Anything missing, damaged, contradictory or beyond what the runtime computes; see [`Error`].
pub fn read(path: &Path, options: &Options) -> Result<Checkpoint, Error> {
    let model = tract_onnx::Onnx::default()
        .proto_model_for_read(&mut open(path, MAX_WEIGHT_FILE)?)
        .map_err(|error| Error::Protobuf { file: path.to_path_buf(), reason: format!("{error:#}") })?;
    let Some(proto) = &model.graph else {
        return Err(Error::field(path, "graph", "nothing", "the graph of an ELECTRA model"));
    };
    let graph = Graph::new(path, proto)?;
    let weights = Weights::new(&graph)?;

    let folders = companions(path)?;
    let (config, sizes) = match folders.iter().map(|it| it.join("config.json")).find(|it| it.exists()) {
        Some(file) => {
            let config = config::read(&file)?;
            infer::check(&weights, &config, &file)?;
            (config, SIZES)
        }
        None => (infer::infer(&weights)?, "by the shapes of the other tensors"),
    };
    let (source, vocabulary) = match &options.vocabulary {
        Some(file) => (file.clone(), tokenizer::read_file(file, &BERT)?),
        None => {
            let folder = folders.iter().find(|it| tokenizer::has_vocabulary(it)).unwrap_or(&folders[0]);
            (folder.clone(), tokenizer::read_folder(folder, &BERT)?)
        }
    };
    for folder in &folders {
        tokenizer::check_settings(folder, &BERT, &vocabulary)?;
    }
    check_vocabulary_fits(&source, &vocabulary, &config)?;

    weights.check_names(&config)?;
    let mut tensors = weights.recover(&config)?;
    for (name, shape) in config.tensor_shapes() {
        match tensors.get_mut(&name) {
            Some(tensor) => tensor.check(path, &name, &shape, &note(&config, &name, sizes))?,
            None => return Err(missing(path, &config, &name, &shape, sizes)),
        }
    }
    let checkpoint = Checkpoint { config, tensors, vocabulary };
    verify::verify(&weights, proto, &checkpoint)?;
    Ok(checkpoint)
}

fn missing(path: &Path, config: &Config, name: &str, shape: &[usize], sizes: &str) -> Error {
    let expected = format!(
        "a tensor of shape {shape:?} {} under this name, or at the node that uses it; export the model with its \
         parameter names and without optimizers",
        note(config, name, sizes)
    );
    Error::field(path, name, "nothing", expected)
}

/// The folders in which files that belong to the model may lie: its own, and the one above for models in a folder `onnx`
/// of a Hugging Face repository.
///
/// The path is made absolute by its words, not by following links: in a cache of the hub, files are links to elsewhere.
fn companions(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let absolute = std::path::absolute(path).map_err(|source| Error::read(path, source))?;
    let folder = absolute.parent().unwrap_or(Path::new("/"));
    let is_onnx = folder.file_name().is_some_and(|name| name.eq_ignore_ascii_case("onnx"));
    let above = folder.parent().filter(|_| is_onnx);
    Ok([Some(folder), above].into_iter().flatten().map(Path::to_path_buf).collect())
}
