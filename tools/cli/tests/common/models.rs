//! Models made from the fixtures with a changed last layer.
#![allow(dead_code, reason = "each file of tests uses a part of it")]

use std::path::Path;

use electra_pack::{hugging_face, model_file};

/// Packs the fixture `name` into `folder` after `change` has modified the weights and the bias of
/// its last layer. Returns the path of the model.
pub fn with_last_layer(folder: &Path, name: &str, change: impl Fn(&mut [f32], &mut [f32])) -> String {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(name);
    let mut checkpoint = hugging_face::read(&fixture).expect("a fixture");
    let is_last = |name: &str| name.contains("out_proj.") || name.contains("dense_prediction.");
    let mut tensors = checkpoint.tensors.iter_mut().filter(|(name, _)| is_last(name));
    // The tensors are in the order of their names.
    let ((_, bias), (_, weight)) = (tensors.next().expect("a bias"), tensors.next().expect("weights"));
    change(&mut weight.data, &mut bias.data);
    let packed = model_file::pack(&checkpoint, &[("name", "test")]).expect("it fits");
    let path = folder.join(format!("{name}.electra"));
    std::fs::write(&path, packed.bytes).expect("written");
    path.to_str().expect("UTF-8").to_owned()
}

/// Packs a model whose logits overflow on every text.
pub fn overflowing(folder: &Path, name: &str) -> String {
    with_last_layer(folder, name, |weight, bias| {
        weight.fill(3e38);
        bias.fill(3e38);
    })
}

/// Packs a model whose scores are equal on every text, except the score of the first label, which
/// is lower.
pub fn undecided(folder: &Path, name: &str) -> String {
    with_last_layer(folder, name, |weight, bias| {
        weight.fill(0.0);
        bias.fill(1.0);
        bias[0] = 0.0;
    })
}
