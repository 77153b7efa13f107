//! `host-models MODEL FOLDER` writes the model files of the tests to FOLDER: those of `model-update`,
//! and copies of MODEL with thresholds.
#![forbid(unsafe_code)]

use std::env;
use std::path::Path;

fn main() -> host_models::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [model, folder] = &arguments[..] else { return Err("usage: host-models MODEL FOLDER".into()) };
    host_models::write_updates(Path::new(folder))?;
    host_models::write_thresholds(Path::new(model), Path::new(folder))
}
