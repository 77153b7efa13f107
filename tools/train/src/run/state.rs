//! Content of a checkpoint: parameters and moments. Everything else follows from the seed and the
//! step.

use std::fs;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tch::Tensor;

use crate::checkpoint::Checkpoints;
use crate::error::{Error, Result};
use crate::model::Parameters;
use crate::model::folder::{Tensors, WeightKind, read_tensors, write_tensors};
use crate::optimizer::AdamW;

const TENSORS: &str = "state.safetensors";
const COUNTERS: &str = "state.json";

/// Writes the state of a run into `folder`. `counters` is the other state of the command; `more`
/// are further tensors.
pub fn save_state(
    folder: &Path,
    parameters: &Parameters,
    optimizer: &AdamW,
    counters: &impl Serialize,
    more: Tensors,
) -> Result<()> {
    let mut tensors = more;
    for (name, tensor) in [
        ("parameters", parameters.flat()),
        ("first_moments", &optimizer.first),
        ("second_moments", &optimizer.second),
    ] {
        tensors.insert(name.to_owned(), tensor.shallow_clone());
    }
    write_tensors(&folder.join(TENSORS), &tensors, WeightKind::F32)?;
    let file = folder.join(COUNTERS);
    let text = serde_json::to_string(counters)
        .map_err(|error| Error::field(&file, "counters", error.to_string(), "JSON"))?;
    fs::write(&file, text).map_err(Error::write(&file))
}

/// Fails if the weights are not finite. The loss would show it only after the next step.
pub fn check_weights(parameters: &Parameters, step: u64, checkpoints: &Checkpoints) -> Result<()> {
    let found = parameters.flat().f_norm()?.f_double_value(&[])?;
    if found.is_finite() {
        return Ok(());
    }
    Err(Error::NotFinite { step, what: "norm of the weights", found, kept: checkpoints.describe_last() })
}

/// Restores the state that [`save_state`] wrote. Returns the counters and the further tensors.
pub fn load_state<T: DeserializeOwned>(
    folder: &Path,
    parameters: &Parameters,
    optimizer: &mut AdamW,
) -> Result<(T, Tensors)> {
    let file = folder.join(TENSORS);
    let mut tensors = read_tensors(&file)?;
    let mut restore = |name: &str, target: &Tensor| {
        let found = tensors
            .remove(name)
            .ok_or_else(|| Error::field(&file, name, "no such tensor", "one: every checkpoint has it"))?;
        if found.size() != target.size() {
            let (found, expected) = (format!("{:?}", found.size()), format!("{:?}", target.size()));
            return Err(Error::field(&file, name, found, expected));
        }
        target.shallow_clone().f_copy_(&found)?;
        Ok(())
    };
    restore("parameters", parameters.flat())?;
    restore("first_moments", &optimizer.first)?;
    restore("second_moments", &optimizer.second)?;
    parameters.refresh()?;
    let file = folder.join(COUNTERS);
    let text = fs::read_to_string(&file).map_err(Error::read(&file))?;
    let counters = serde_json::from_str(&text)
        .map_err(|error| Error::field(&file, "content", error.to_string(), "the counters of a run"))?;
    Ok((counters, tensors))
}
