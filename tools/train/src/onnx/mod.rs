//! The command `export-onnx`: writes a classifier or a discriminator as an ONNX file, in f32 or
//! dynamically quantized.

mod electra;
mod graph;
mod protobuf;

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use tch::Device;

use crate::classification::TextClassifier;
use crate::device::Precision;
use crate::error::{Error, Result};
use crate::model::config::Head;
use crate::model::folder::{CONFIG, Folder, Tensors, VOCABULARY, WEIGHTS};
use crate::model::{Discriminator, Encoder, Family, Parameters};

/// Writes the model of the folder `path` into `file`. With `int8` its matrices are i8, with one
/// scale per column, and activations are quantized at run time, as ONNX Runtime's
/// `quantize_dynamic` does.
///
/// The graph takes `input_ids`, `attention_mask` and `token_type_ids`, all `[batch, sequence]` in
/// i64, and returns `logits` in f32: `[batch, labels]` for a classifier, `[batch, sequence]` for a
/// discriminator.
pub fn export(path: &Path, file: &Path, int8: bool) -> Result<()> {
    let folder = Folder::read(path)?;
    let target = file.canonicalize();
    if [CONFIG, WEIGHTS, VOCABULARY].iter().any(|name| {
        target.as_ref().is_ok_and(|target| folder.file(name).canonicalize().is_ok_and(|it| it == *target))
    }) {
        return Err(Error::field(file, "output", "a file that is read", "another one"));
    }
    refuse_other_file(file)?;
    if folder.config.family == Family::Mpnet {
        let expected = "electra or bert: the export does not support MPNet's position biases";
        return Err(Error::field(&folder.file(CONFIG), "model_type", "mpnet", expected));
    }
    let tensors = tensors(&folder)?;
    let bytes = electra::model(&folder.config, &folder.head, &tensors, int8)?;
    let mut unfinished = file.as_os_str().to_owned();
    unfinished.push(".writing");
    let unfinished = Path::new(&unfinished);
    let written = fs::write(unfinished, bytes).map_err(Error::write(unfinished));
    let written = written.and_then(|()| fs::rename(unfinished, file).map_err(Error::write(file)));
    if written.is_err() {
        let _ = fs::remove_file(unfinished);
    }
    written
}

/// Fails if `file` exists and is not an ONNX file. An ONNX file begins with the version of its
/// format, field 1 of `ModelProto`.
fn refuse_other_file(file: &Path) -> Result<()> {
    const FIRST_FIELD: u8 = 0x08;
    let metadata = match fs::metadata(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(Error::read(file))?,
    };
    let mut first = Vec::new();
    if metadata.is_file() {
        let opened = fs::File::open(file).map_err(Error::read(file))?;
        opened.take(1).read_to_end(&mut first).map_err(Error::read(file))?;
    }
    match (metadata.is_file(), first.as_slice()) {
        (true, [] | [FIRST_FIELD]) => Ok(()),
        _ => Err(Error::field(file, "output", "another file", "a new one, or an ONNX file to replace")),
    }
}

/// Returns every weight of the encoder and its head, in the shapes that `config.json` determines.
fn tensors(folder: &Folder) -> Result<Tensors> {
    match &folder.head {
        Head::Classification(_) => TextClassifier::read(folder, Device::Cpu)?.parameters.tensors(),
        Head::ReplacedTokenDetection => {
            let mut list = Encoder::parameters(&folder.config, "", false);
            list.extend(Discriminator::parameters(&folder.config));
            let parameters = Parameters::new(list, Device::Cpu, Precision::F32, 0)?;
            if let Some(name) = folder.load_into(&parameters, true)?.first() {
                let expected = "one, as config.json says that it is a discriminator";
                return Err(Error::field(&folder.file(WEIGHTS), name, "no such tensor", expected));
            }
            parameters.tensors()
        }
        Head::MaskedLanguageModel | Head::None => {
            let found = if folder.head == Head::None { "none" } else { "a language model's" };
            Err(Error::field(&folder.file(CONFIG), "head", found, "a classifier's or a discriminator's"))
        }
    }
}
