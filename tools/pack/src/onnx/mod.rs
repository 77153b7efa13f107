//! Reads checkpoints from ONNX files, as exporters of PyTorch and the dynamic quantizer of ONNX
//! Runtime write them.
//!
//! An ONNX file is a graph, not a list of named weights. Exporters transpose the matrices of linear
//! layers and rename them to numbers. They keep the names of biases, LayerNorm parameters and
//! embeddings. The reader therefore finds each matrix by following the graph back from the addition
//! of its bias.

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

/// Inputs that an ONNX file does not contain.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Path of a `vocab.txt` or `tokenizer.json`. If it is `None`, one of these files must be
    /// beside the model.
    pub vocabulary: Option<PathBuf>,
}

/// Reads an ONNX file of an `ElectraForSequenceClassification` or `ElectraForPreTraining`.
///
/// The reader supports graphs of `torch.onnx.export`, with `dynamo` and without it (as `optimum`
/// exports them). Weights may be f32, f16, bf16 or f64, inside the file or external. The reader
/// also supports these graphs after `quantize_dynamic` of ONNX Runtime and converts their 8-bit
/// weights back to f32. Graphs with operators that an optimizer fused are refused.
///
/// A `config.json` beside the model, or above it in the `onnx` folder layout, is used and compared
/// with the graph. Without one, the sizes are taken from the shapes, and the number of heads and
/// the LayerNorm epsilon from the graph. The labels are then named `LABEL_0`, `LABEL_1`, ...
///
/// # Errors
///
/// Fails if something is missing, damaged, contradictory or not supported by the runtime; see
/// [`Error`].
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
        None => (infer::infer(&weights)?, "according to the shapes of the other tensors"),
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

/// Returns the folders that may contain files of the model: its own folder, and the folder above if
/// the model is in a folder `onnx` of a Hugging Face repository.
///
/// The path is made absolute without resolving links. In a cache of the hub, the files are links to
/// other folders.
fn companions(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let absolute = std::path::absolute(path).map_err(|source| Error::read(path, source))?;
    let folder = absolute.parent().unwrap_or(Path::new("/"));
    let is_onnx = folder.file_name().is_some_and(|name| name.eq_ignore_ascii_case("onnx"));
    let above = folder.parent().filter(|_| is_onnx);
    Ok([Some(folder), above].into_iter().flatten().map(Path::to_path_buf).collect())
}
