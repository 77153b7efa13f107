//! Checkpoints as ONNX files, as exporters of PyTorch and ONNX Runtime's dynamic quantizer leave them.
//!
//! An ONNX file is a graph, not a list of named weights: exporters transpose the matrices of linear layers and give
//! them numbers for names. What they keep are the names of biases, LayerNorm parameters and embeddings, so each
//! matrix is found by following the graph back from the addition of its bias.

mod graph;
mod infer;
mod tensor;
mod weights;

use std::path::{Path, PathBuf};

use electra_formats::file::{MAX_WEIGHT_FILE, open};
use electra_formats::tokenizer;
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
    let Some(graph) = &model.graph else {
        return Err(Error::field(path, "graph", "nothing", "the graph of an ELECTRA model"));
    };
    let graph = Graph::new(path, graph)?;
    let weights = Weights::new(&graph)?;

    let folder = companions(path);
    let config_file = folder.join("config.json");
    let (config, sizes) = if config_file.exists() {
        let config = config::read(&config_file)?;
        infer::check(&weights, &config, &config_file)?;
        (config, SIZES)
    } else {
        (infer::infer(&weights)?, "by the shapes of the other tensors")
    };
    let vocabulary = match &options.vocabulary {
        Some(file) => tokenizer::read_file(file)?,
        None => tokenizer::read_folder(&folder)?,
    };
    check_vocabulary_fits(options.vocabulary.as_deref().unwrap_or(&folder), &vocabulary, &config)?;

    weights.check_names(&config)?;
    let mut tensors = weights.recover(&config)?;
    for (name, shape) in config.tensor_shapes() {
        match tensors.get_mut(&name) {
            Some(tensor) => tensor.check(path, &name, &shape, &note(&config, &name, sizes))?,
            None => return Err(missing(path, &config, &name, &shape, sizes)),
        }
    }
    Ok(Checkpoint { config, tensors, vocabulary })
}

fn missing(path: &Path, config: &Config, name: &str, shape: &[usize], sizes: &str) -> Error {
    let expected = format!(
        "a tensor of shape {shape:?} {} under this name, or at the node that uses it; export the model with its \
         parameter names and without optimizers",
        note(config, name, sizes)
    );
    Error::field(path, name, "nothing", expected)
}

/// The folder with `config.json` and the vocabulary: the model's own, or the one above for models in a folder
/// `onnx` of a Hugging Face repository.
fn companions(path: &Path) -> PathBuf {
    let folder = match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => Path::new("/"),
    };
    let has_any =
        ["config.json", "vocab.txt", "tokenizer.json"].iter().any(|name| folder.join(name).exists());
    if !has_any && folder.ends_with("onnx") {
        return folder
            .parent()
            .filter(|above| !above.as_os_str().is_empty())
            .unwrap_or(Path::new("."))
            .to_path_buf();
    }
    folder.to_path_buf()
}
