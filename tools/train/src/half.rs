//! The command `half`: a folder's weights in f16, half the bytes. `electra pack` and `transformers` read it as they read f32.

use std::path::Path;

use tch::Kind;

use crate::error::{Error, Result};
use crate::model::folder::{Folder, WEIGHTS, WeightKind};

/// Writes the model of the folder `path`, whatever it predicts, into `output`, every weight rounded to f16.
pub fn half(path: &Path, output: &Path) -> Result<()> {
    let folder = Folder::read(path)?;
    folder.check_output(output)?;
    let file = folder.file(WEIGHTS);
    for (name, tensor) in folder.tensors() {
        let largest = tensor.f_abs()?.f_max()?.f_double_value(&[])?;
        // 65504 is the largest number of f16; what is nearer to it than to the next power of two rounds to it.
        if tensor.kind() == Kind::Float && largest >= 65520.0 {
            return Err(Error::field(&file, name, largest.to_string(), "numbers that f16 has, below 65520"));
        }
    }
    folder.write_with(folder.tensors(), WeightKind::F16, output)
}
