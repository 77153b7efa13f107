//! Reads `model.safetensors`, in one file or in shards.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use electra_formats::file::{MAX_WEIGHT_FILE, read_bytes};
use electra_formats::json::Document;
use half::{bf16, f16};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::checkpoint::{Config, Head, Tensor};
use crate::error::Error;

const WHOLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
/// Source of expected shapes, for messages.
pub(crate) const SIZES: &str = "according to config.json";
/// Index buffers that older versions of `transformers` save with the weights. They are skipped.
const BUFFERS: [&str; 2] = ["electra.embeddings.position_ids", "electra.embeddings.token_type_ids"];

/// Reads the tensors that `config` requires and checks their shapes and values. Any other tensor is
/// an error, because the model would not compute what its file describes.
pub(crate) fn read(folder: &Path, config: &Config) -> Result<BTreeMap<String, Tensor>, Error> {
    let mut tensors = BTreeMap::new();
    let mut expected: BTreeMap<String, Vec<usize>> = config.tensor_shapes().into_iter().collect();
    for file in files(folder)? {
        let bytes = read_bytes(&file, MAX_WEIGHT_FILE)?;
        let stored = SafeTensors::deserialize(&bytes)
            .map_err(|source| Error::Safetensors { file: file.clone(), source })?;
        let mut views = stored.tensors();
        views.sort_by(|(left, _), (right, _)| left.cmp(right));
        for (stored_name, view) in views {
            if BUFFERS.contains(&stored_name.as_str()) {
                continue;
            }
            let name = current_name(&stored_name);
            let Some(shape) = expected.remove(&name) else {
                let found = format!("a tensor of shape {:?}", view.shape());
                let expected = "no such tensor, or only one of this name";
                return Err(Error::field(&file, stored_name, found, expected));
            };
            let tensor = Tensor { shape: view.shape().to_vec(), data: values(&file, &stored_name, &view)? };
            tensor.check(&file, &stored_name, &shape, &note(config, &name, SIZES))?;
            tensors.insert(name, tensor);
        }
    }
    if let Some((name, shape)) = expected.first_key_value() {
        let file = if folder.join(WHOLE).exists() { WHOLE } else { INDEX };
        let expected = format!("a tensor of shape {shape:?} {}", note(config, name, SIZES));
        return Err(Error::field(&folder.join(file), name, "nothing", expected));
    }
    Ok(tensors)
}

/// Describes the source of the expected shape of tensor `name`, for messages: `sizes`, or the
/// labels.
pub(crate) fn note(config: &Config, name: &str, sizes: &str) -> String {
    match &config.head {
        Head::Classification { labels } if name.starts_with("classifier.out_proj") => {
            format!("(for {} labels, {sizes})", labels.len())
        }
        _ => format!("({sizes})"),
    }
}

/// Returns the files that contain the tensors: `model.safetensors`, or the shards that the index
/// names.
fn files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let (whole, index) = (folder.join(WHOLE), folder.join(INDEX));
    if whole.exists() {
        return Ok(vec![whole]);
    }
    if !index.exists() {
        let found = ["pytorch_model.bin", "tf_model.h5", "flax_model.msgpack"]
            .into_iter()
            .find(|name| folder.join(name).exists())
            .map_or_else(|| "no weights".to_owned(), |name| format!("only {name}"));
        let expected = format!("{WHOLE} or {INDEX} (save_pretrained of transformers writes it)");
        return Err(Error::field(folder, "folder", found, expected));
    }
    let document = Document::read(index)?;
    let weight_map = document.root().required_object("weight_map")?;
    let mut shards = BTreeMap::new();
    for (tensor, shard) in weight_map.entries() {
        let name = shard.as_str().map(Path::new);
        match name.map(|name| name.components().collect::<Vec<_>>()).as_deref() {
            Some([Component::Normal(name)]) => shards.insert(*name, folder.join(name)),
            _ => return Err(weight_map.refuse(tensor, "the name of a file in the same folder").into()),
        };
    }
    Ok(shards.into_values().collect())
}

/// Replaces the LayerNorm parameter names gamma and beta, which old checkpoints converted from
/// TensorFlow have, with weight and bias.
fn current_name(name: &str) -> String {
    if let Some(stem) = name.strip_suffix("LayerNorm.gamma") {
        return format!("{stem}LayerNorm.weight");
    }
    match name.strip_suffix("LayerNorm.beta") {
        Some(stem) => format!("{stem}LayerNorm.bias"),
        None => name.to_owned(),
    }
}

fn values(file: &Path, name: &str, view: &TensorView) -> Result<Vec<f32>, Error> {
    let (halves, _) = view.data().as_chunks::<2>();
    let (singles, _) = view.data().as_chunks::<4>();
    match view.dtype() {
        Dtype::F32 => Ok(singles.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()),
        Dtype::F16 => Ok(halves.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect()),
        Dtype::BF16 => Ok(halves.iter().map(|bytes| bf16::from_le_bytes(*bytes).to_f32()).collect()),
        other => Err(Error::field(file, name, format!("type {other}"), "F32, F16 or BF16")),
    }
}
