//! The command `average`: the mean of several models' weights.
//!
//! Models that were trained from the same weights with different seeds often lie close together.
//! The model with their mean weights then often makes fewer errors than any of them, at the cost of
//! one model (Wortsman et al., "Model soups", 2022).

use std::path::{Path, PathBuf};

use tch::Kind;

use crate::error::{Error, Result};
use crate::model::folder::{CONFIG, Folder, WEIGHTS, WeightKind};

/// Writes the mean of the weights of `folders` into `output`, in f32. The folders must be equal in
/// everything else, except for dropout.
pub fn average(folders: &[PathBuf], output: &Path) -> Result<()> {
    let Some((first, others)) = folders.split_first() else {
        return Err(Error::field(Path::new("average"), "folders", "none", "at least one"));
    };
    let first = Folder::read(first)?;
    first.check_output(output)?;
    let sums = first.tensors();
    for path in others {
        let other = Folder::read(path)?;
        other.check_output(output)?;
        if let Some((field, found, expected)) = first.config.first_difference(&other.config) {
            let expected = format!("{expected}, as in {}", first.file(CONFIG).display());
            return Err(Error::field(&other.file(CONFIG), field, found, expected));
        }
        if other.head != first.head {
            let expected = format!("{:?}, as in {}", first.head, first.file(CONFIG).display());
            return Err(Error::field(
                &other.file(CONFIG),
                "architectures",
                format!("{:?}", other.head),
                expected,
            ));
        }
        other.same_vocabulary(&first)?;
        for (name, sum) in sums {
            let found = other.tensors().get(name).filter(|found| found.size() == sum.size());
            let found = found.ok_or_else(|| {
                Error::field(
                    &other.file(WEIGHTS),
                    name,
                    "none, or another shape",
                    format!("{:?}", sum.size()),
                )
            })?;
            if sum.kind() == Kind::Float {
                let _ = sum.shallow_clone().f_add_(found)?;
            }
        }
    }
    for sum in sums.values().filter(|sum| sum.kind() == Kind::Float) {
        let _ = sum.shallow_clone().f_div_scalar_(folders.len() as f64)?;
    }
    first.write_with(sums, WeightKind::F32, output)
}
