//! The command `half`: converts the weights of a folder to f16, which halves their bytes.
//! `electra pack` and `transformers` read f16 weights like f32 weights.

use std::path::Path;

use tch::Kind;

use crate::error::{Error, Result};
use crate::model::folder::{Folder, WEIGHTS, WeightKind};

/// Rounds every weight of the model in `path` to f16 and writes the model into `output`. The model
/// may have any head. Fails if a weight is outside the range of f16.
pub fn convert(path: &Path, output: &Path) -> Result<()> {
    let folder = Folder::read(path)?;
    folder.check_output(output)?;
    let file = folder.file(WEIGHTS);
    for (name, tensor) in folder.tensors() {
        let largest = tensor.f_abs()?.f_max()?.f_double_value(&[])?;
        // 65504 is the largest number of f16. Numbers below 65520 round to it, larger ones to
        // infinity.
        if tensor.kind() == Kind::Float && largest >= 65520.0 {
            let expected = "numbers in the range of f16, below 65520";
            return Err(Error::field(&file, name, largest.to_string(), expected));
        }
    }
    folder.write_with(folder.tensors(), WeightKind::F16, output)
}
