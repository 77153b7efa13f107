//! The Hugging Face folder: `config.json`, `model.safetensors`, `vocab.txt` or `tokenizer.json`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use electra_formats::file::{MAX_WEIGHT_FILE, read_bytes, read_text};
use electra_formats::tokenizer;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

use super::config::{Config, Head};
use super::parameters::Parameters;
use crate::checkpoint::{refuse_foreign, write_folder};
use crate::error::{Error, Result};

/// File of the configuration.
pub const CONFIG: &str = "config.json";
/// File of the weights.
pub const WEIGHTS: &str = "model.safetensors";
/// File of the vocabulary: one WordPiece token per line. The number of the line, from 0, is the id.
pub const VOCABULARY: &str = "vocab.txt";
/// File of the tokenizer, which some folders have instead of `vocab.txt`.
pub const TOKENIZER: &str = "tokenizer.json";

/// Tensors by name, on the CPU.
pub type Tensors = BTreeMap<String, Tensor>;

/// Model folder, read into memory.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// The encoder's sizes.
    pub config: Config,
    /// Prediction task, according to `config.json`.
    pub head: Head,
    tensors: Tensors,
}

impl Folder {
    /// Reads the folder `path`.
    pub fn read(path: &Path) -> Result<Self> {
        let file = path.join(CONFIG);
        let text = read_text(&file)?;
        let document: Value = serde_json::from_str(&text).map_err(|error| {
            Error::field(&file, "content", format!("no valid JSON ({error})"), "a JSON object")
        })?;
        let (config, head) = Config::from_json(&document, &file)?;
        let tensors = read_tensors(&path.join(WEIGHTS))?;
        Ok(Self { path: path.to_path_buf(), config, head, tensors })
    }

    /// Returns the path of the vocabulary: `vocab.txt`, or `tokenizer.json` if there is no other.
    pub fn vocabulary(&self) -> PathBuf {
        let (lines, tokenizer) = (self.file(VOCABULARY), self.file(TOKENIZER));
        if !lines.exists() && tokenizer.exists() { tokenizer } else { lines }
    }

    /// Returns the pieces of the vocabulary, indexed by id.
    pub fn pieces(&self) -> Result<Vec<String>> {
        Ok(tokenizer::read_file(&self.vocabulary(), self.config.family.tokenizer())?)
    }

    /// Returns the path of a file in the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Returns the error for a classifier whose head lacks the tensor `name`.
    pub fn lacks_head(&self, name: &str) -> Error {
        let expected = "one, as config.json says that it is a classifier";
        Error::field(&self.file(WEIGHTS), name, "no such tensor", expected)
    }

    /// Fails for a model that the int8 runtime does not run, see [`Config::check_for_runtime`].
    pub fn check_for_runtime(&self) -> Result<()> {
        self.config.check_for_runtime(&self.head, &self.file(CONFIG))
    }

    /// Fails if the vocabulary differs from that of `expected`. Ids have the same meaning only with
    /// the same vocabulary.
    pub fn same_vocabulary(&self, expected: &Self) -> Result<()> {
        let (file, as_in) = (self.vocabulary(), expected.vocabulary());
        let (lines, wanted) = (self.pieces()?, expected.pieces()?);
        let as_in = |what: &str| format!("{what}, as in {}", as_in.display());
        if let Some(line) = (0..lines.len().min(wanted.len())).find(|&it| lines[it] != wanted[it]) {
            let field = format!("line {}", line + 1);
            return Err(Error::field(&file, field, &lines[line], as_in(&wanted[line])));
        }
        if lines.len() != wanted.len() {
            let expected = as_in(&wanted.len().to_string());
            return Err(Error::field(&file, "lines", lines.len().to_string(), expected));
        }
        Ok(())
    }

    /// Returns the tensors of the file: floating-point numbers in f32, integers as they are.
    pub fn tensors(&self) -> &Tensors {
        &self.tensors
    }

    /// Fails if a model written into `output` would replace other data: files that belong to no
    /// model, or this folder itself.
    pub fn check_output(&self, output: &Path) -> Result<()> {
        refuse_foreign(output, &[CONFIG, WEIGHTS, VOCABULARY], &[&self.path])
    }

    /// Writes a folder with this one's configuration and vocabulary and with other weights. It
    /// appears whole or not at all.
    pub fn write_with(&self, tensors: &Tensors, kind: WeightKind, output: &Path) -> Result<()> {
        write_folder(output, |to| {
            write_tensors(&to.join(WEIGHTS), tensors, kind)?;
            let from = self.file(CONFIG);
            let config = fs::read(&from).map_err(Error::read(&from))?;
            fs::write(to.join(CONFIG), config).map_err(Error::write(&to.join(CONFIG)))?;
            tokenizer::write(&to.join(VOCABULARY), &self.pieces()?)
                .map_err(Error::write(&to.join(VOCABULARY)))
        })
    }

    /// Overwrites the encoder's parameters, all of which must be in the folder. With `head` also
    /// overwrites the head's parameters that are in the folder. Returns the names that were not
    /// overwritten.
    ///
    /// `BertModel` and `ElectraModel` save the encoder without its prefix; both forms are read.
    pub fn load_into(&self, parameters: &Parameters, head: bool) -> Result<Vec<String>> {
        self.load_into_namespace(parameters, "", head)
    }

    /// Does the same for the parameters whose names begin with `namespace`.
    pub fn load_into_namespace(
        &self,
        parameters: &Parameters,
        namespace: &str,
        head: bool,
    ) -> Result<Vec<String>> {
        let prefix = format!("{}.", self.config.family.prefix());
        let bare = !self.tensors.keys().any(|name| name.starts_with(&prefix));
        let name_in_file = |name: &str| {
            let name = name.strip_prefix(namespace)?;
            match name.strip_prefix(&prefix) {
                Some(rest) if bare => Some(rest.to_owned()),
                None if !head => None,
                _ => Some(name.to_owned()),
            }
        };
        let file = self.path.join(WEIGHTS);
        let missing = parameters.load(&self.tensors, &file, name_in_file)?;
        let pooler = format!("{prefix}pooler.");
        let of_encoder = |name: &&str| name.starts_with(&prefix) && !name.starts_with(&pooler);
        match missing.iter().filter_map(|name| name.strip_prefix(namespace)).find(of_encoder) {
            Some(name) => {
                Err(Error::field(&file, name, "no such tensor", "one, as config.json has this layer"))
            }
            None => Ok(missing),
        }
    }
}

/// Writes a model into the folder `path`. The caller makes the folder appear whole, see
/// [`crate::checkpoint::write_folder`].
pub fn write(path: &Path, config: &Config, head: &Head, tensors: &Tensors, vocabulary: &Path) -> Result<()> {
    let file = path.join(CONFIG);
    let text = format!("{:#}\n", config.to_json(head));
    fs::write(&file, text).map_err(Error::write(&file))?;
    write_tensors(&path.join(WEIGHTS), tensors, WeightKind::F32)?;
    let file = path.join(VOCABULARY);
    let pieces = tokenizer::read_file(vocabulary, config.family.tokenizer())?;
    tokenizer::write(&file, &pieces).map_err(Error::write(&file))
}

/// Reads a safetensors file. Floating-point numbers become f32; integers stay as they are. Fails if
/// a number is not finite.
pub fn read_tensors(file: &Path) -> Result<Tensors> {
    parse_tensors(file, &read_bytes(file, MAX_WEIGHT_FILE)?)
}

/// Does the same for the bytes of a safetensors file. `file` is for messages.
pub fn parse_tensors(file: &Path, bytes: &[u8]) -> Result<Tensors> {
    let views = SafeTensors::deserialize(bytes).map_err(|error| {
        let found = format!("no valid safetensors file ({error})");
        Error::field(file, "content", found, "one that is complete")
    })?;
    let mut tensors = Tensors::new();
    for (name, view) in views.iter() {
        let kind = match view.dtype() {
            Dtype::F32 => Kind::Float,
            Dtype::F16 => Kind::Half,
            Dtype::BF16 => Kind::BFloat16,
            // Positions and similar tensors of older checkpoints; no parameter is an integer.
            Dtype::I64 => Kind::Int64,
            // Changes of a fine-tuning, in quantization steps; see the command `add-changes`.
            Dtype::I8 => Kind::Int8,
            other => {
                return Err(Error::field(file, name, format!("{other:?}"), "F32, F16 or BF16"));
            }
        };
        let shape: Vec<i64> = view.shape().iter().map(|&size| size as i64).collect();
        let tensor = Tensor::f_from_data_size(view.data(), &shape, kind)?;
        let integer = matches!(kind, Kind::Int64 | Kind::Int8);
        let tensor = if integer { tensor } else { tensor.f_to_kind(Kind::Float)? };
        // The sum of the magnitudes is finite only if all numbers are. A sum of f32 numbers in f64
        // cannot overflow.
        if !tensor.f_abs()?.f_sum(Kind::Double)?.f_double_value(&[])?.is_finite() {
            return Err(Error::field(file, name, "a number that is not finite", "finite ones"));
        }
        tensors.insert(name.to_owned(), tensor);
    }
    Ok(tensors)
}

/// Number format of the weights in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightKind {
    /// The format in which weights are used.
    F32,
    /// Rounded, for shipping.
    F16,
}

/// Writes tensors, rounded to `kind` unless they are integers.
pub fn write_tensors(file: &Path, tensors: &Tensors, kind: WeightKind) -> Result<()> {
    let mut bytes = Vec::with_capacity(tensors.len());
    for (name, tensor) in tensors {
        let (wanted, dtype) = match (tensor.kind(), kind) {
            (Kind::Int64, _) => (Kind::Int64, Dtype::I64),
            (_, WeightKind::F32) => (Kind::Float, Dtype::F32),
            (_, WeightKind::F16) => (Kind::Half, Dtype::F16),
        };
        let tensor = tensor.f_to_device(Device::Cpu)?.f_to_kind(wanted)?.f_contiguous()?;
        let mut data = vec![0; tensor.numel() * wanted.elt_size_in_bytes()];
        tensor.f_copy_data_u8(&mut data, tensor.numel())?;
        let shape: Vec<usize> = tensor.size().iter().map(|&size| size as usize).collect();
        bytes.push((name, dtype, shape, data));
    }
    let refuse = |error: safetensors::SafeTensorError| Error::Write {
        file: file.into(),
        source: std::io::Error::other(error),
    };
    let views = bytes
        .iter()
        .map(|(name, dtype, shape, data)| Ok((name, TensorView::new(*dtype, shape.clone(), data)?)))
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(refuse)?;
    // transformers requires the name of the framework whose conventions the tensors follow.
    let metadata = [("format".to_owned(), "pt".to_owned())].into();
    let bytes = safetensors::serialize(views, Some(metadata)).map_err(refuse)?;
    fs::write(file, bytes).map_err(Error::write(file))
}
