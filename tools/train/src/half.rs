//! The command `half`: a folder's weights in f16, half the bytes. `electra pack` and `transformers` read it as they read f32.

use std::fs;
use std::path::Path;

use crate::checkpoint::write_folder;
use crate::error::{Error, Result};
use crate::model::folder::{CONFIG, Folder, VOCABULARY, WEIGHTS, WeightKind, read_tensors, write_tensors};

/// Writes the model of the folder `path`, whatever it predicts, into `output`, every weight rounded to f16.
pub fn half(path: &Path, output: &Path) -> Result<()> {
    let folder = Folder::read(path)?;
    let file = folder.file(WEIGHTS);
    let tensors = read_tensors(&file)?;
    for (name, tensor) in &tensors {
        let largest = tensor.f_abs()?.f_max()?.f_double_value(&[])?;
        // 65504 is the largest number of f16; what is nearer to it than to the next power of two rounds to it.
        if largest.is_nan() || largest >= 65520.0 {
            return Err(Error::field(&file, name, largest.to_string(), "numbers that f16 has, below 65520"));
        }
    }
    write_folder(output, |to| {
        write_tensors(&to.join(WEIGHTS), &tensors, WeightKind::F16)?;
        for name in [CONFIG, VOCABULARY] {
            let from = folder.file(name);
            let bytes = fs::read(&from).map_err(Error::read(&from))?;
            fs::write(to.join(name), bytes).map_err(Error::write(&to.join(name)))?;
        }
        Ok(())
    })
}
