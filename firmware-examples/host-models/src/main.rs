//! `host-models FOLDER` writes the model files of the tests to FOLDER: those of `model-update`, and
//! copies of the default model with thresholds.
#![forbid(unsafe_code)]

use std::env;
use std::path::Path;

fn main() -> host_models::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [folder] = &arguments[..] else { return Err("usage: host-models FOLDER".into()) };
    host_models::write_updates(Path::new(folder))?;
    host_models::write_thresholds(Path::new(folder))
}
