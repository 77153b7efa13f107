//! The command `add-changes`: builds a fine-tuned model from its base model and the changes of the
//! fine-tuning, which take a tenth of the bytes.

use std::io::Read;
use std::path::Path;

use serde_json::Value;
use tch::Kind;

use crate::checkpoint::write_folder;
use crate::data::open_text;
use crate::error::{Error, Result};
use crate::model::Config;
use crate::model::folder::{self, CONFIG, Folder, Tensors, WEIGHTS, parse_tensors};

/// File of the changes, beside the `config.json` of the resulting model.
const CHANGES: &str = "fine-tuned.safetensors.zst";
const DELTA: &str = ".delta";
const SCALE: &str = ".scale";

/// Applies the folder `changes` to the model in `base` and writes the result into `output`.
///
/// A matrix `NAME` of the result is the one of `base` plus `NAME.delta` (integers,
/// `[rows, columns]`) times `NAME.scale` (`[rows]`). All other tensors of the changes are stored
/// whole. The rest of the encoder and the vocabulary are those of `base`.
pub fn add_changes(base: &Path, changes: &Path, output: &Path) -> Result<()> {
    let base = Folder::read(base)?;
    base.check_output(output)?;
    let file = changes.join(CONFIG);
    let text = std::fs::read_to_string(&file).map_err(Error::read(&file))?;
    let document: Value = serde_json::from_str(&text)
        .map_err(|error| Error::field(&file, "content", format!("no JSON ({error})"), "a JSON object"))?;
    let (config, head) = Config::from_json(&document, &file)?;
    if let Some((field, found, expected)) = base.config.first_difference(&config) {
        let expected = format!("{expected}, as in {}", base.file(CONFIG).display());
        return Err(Error::field(&file, field, found, expected));
    }
    let prefix = format!("{}.", config.family.prefix());
    let pooler = format!("{prefix}pooler.");
    let bare = !base.tensors().keys().any(|name| name.starts_with(&prefix));
    let mut tensors = Tensors::new();
    for (name, tensor) in base.tensors() {
        let name = if bare { format!("{prefix}{name}") } else { name.clone() };
        if name.starts_with(&prefix) && !name.starts_with(&pooler) && tensor.kind() == Kind::Float {
            tensors.insert(name, tensor.shallow_clone());
        }
    }
    apply(&changes.join(CHANGES), &base, &mut tensors)?;
    write_folder(output, |path| folder::write(path, &config, &head, &tensors, &base.vocabulary()))
}

fn apply(file: &Path, base: &Folder, tensors: &mut Tensors) -> Result<()> {
    let mut bytes = Vec::new();
    open_text(file)?.read_to_end(&mut bytes).map_err(Error::read(file))?;
    let changes = parse_tensors(file, &bytes)?;
    for (name, tensor) in &changes {
        let Some(matrix) = name.strip_suffix(DELTA) else {
            if !name.ends_with(SCALE) {
                tensors.insert(name.clone(), tensor.shallow_clone());
            }
            continue;
        };
        let refuse = |found: &str, expected: String| Err(Error::field(file, name, found, expected));
        let Some(before) = tensors.get(matrix) else {
            return refuse("no such matrix", format!("one of {}", base.file(WEIGHTS).display()));
        };
        let Some(scale) = changes.get(&format!("{matrix}{SCALE}")) else {
            return refuse("no scale", format!("{matrix}{SCALE} beside it"));
        };
        let shape = before.size();
        if tensor.size() != shape || scale.size() != shape[..1] {
            let found = format!("{:?}, scales {:?}", tensor.size(), scale.size());
            return refuse(&found, format!("{shape:?}, and a scale for each row"));
        }
        let change = tensor.f_to_kind(Kind::Float)?.f_mul(&scale.f_unsqueeze(-1)?)?;
        tensors.insert(matrix.to_owned(), before.f_add(&change)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use safetensors::Dtype;
    use safetensors::tensor::TensorView;
    use tch::{Device, Tensor};

    use super::*;
    use crate::classification::TextClassifier;
    use crate::device::Precision;
    use crate::model::Family;
    use crate::random::torch_alone;

    #[test]
    fn changes_by_hand() {
        let _alone = torch_alone();
        let root = tempfile::tempdir().unwrap();
        let vocabulary = root.path().join("vocab.txt");
        fs::write(&vocabulary, "<s>\n<pad>\n</s>\n[UNK]\n<mask>\n").unwrap();
        let config = Config {
            family: Family::Mpnet,
            vocab_size: 5,
            embedding_size: 4,
            hidden_size: 4,
            num_hidden_layers: 1,
            num_attention_heads: 2,
            intermediate_size: 8,
            max_position_embeddings: 8,
            type_vocab_size: 0,
            ..Config::default()
        };
        let labels = ["A".to_owned(), "B".to_owned()];
        let initial =
            TextClassifier::random(&config, &labels, Vec::new(), Device::Cpu, Precision::F32, 1).unwrap();
        let (base, changes) = (root.path().join("base"), root.path().join("changes"));
        for folder in [&base, &changes] {
            fs::create_dir(folder).unwrap();
            initial.write(folder, &vocabulary).unwrap();
        }
        let matrix = "mpnet.encoder.layer.0.attention.attn.k.weight";
        let delta: Vec<u8> = (0..16).map(|index| (index - 8_i8).cast_unsigned()).collect();
        let floats = |values: &[f32]| values.iter().flat_map(|it| it.to_le_bytes()).collect::<Vec<u8>>();
        let (scale, bias) = (floats(&[0.5, 1.0, 2.0, 4.0]), floats(&[9.0, 8.0]));
        let write = |shape: Vec<usize>| {
            let views = [
                (format!("{matrix}.delta"), TensorView::new(Dtype::I8, shape, &delta).unwrap()),
                (format!("{matrix}.scale"), TensorView::new(Dtype::F32, vec![4], &scale).unwrap()),
                ("classifier.out_proj.bias".to_owned(), TensorView::new(Dtype::F32, vec![2], &bias).unwrap()),
            ];
            let bytes = safetensors::serialize(views, None).unwrap();
            fs::write(changes.join(CHANGES), zstd::encode_all(&bytes[..], 1).unwrap()).unwrap();
        };
        write(vec![4, 4]);
        let output = root.path().join("output");
        add_changes(&base, &changes, &output).unwrap();
        let made = Folder::read(&output).unwrap();
        let (before, after) = (Folder::read(&base).unwrap(), made.tensors());
        let change = |row: i64, column: i64| {
            let of = |tensors: &Tensors| tensors[matrix].double_value(&[row, column]);
            of(after) - of(before.tensors())
        };
        assert!((change(0, 1) - -3.5).abs() < 1e-6 && (change(3, 2) - 24.0).abs() < 1e-5);
        assert_eq!(after["classifier.out_proj.bias"], Tensor::from_slice(&[9.0_f32, 8.0]));
        let other = "mpnet.embeddings.word_embeddings.weight";
        assert_eq!(after[other], before.tensors()[other]);
        assert_eq!(made.head, before.head);

        write(vec![2, 8]);
        let error = add_changes(&base, &changes, &output).unwrap_err().to_string();
        assert!(error.contains("k.weight.delta: found [2, 8], scales [4], expected [4, 4]"), "{error}");
    }
}
