//! Finds the model file that the feature `embed-model` puts into the executable: the one that
//! `ELECTRA_EMBED_MODEL` names, or the default model of the checkout.

use std::env;
use std::path::{Path, PathBuf};

const VARIABLE: &str = "ELECTRA_EMBED_MODEL";

fn main() {
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    if env::var_os("CARGO_FEATURE_EMBED_MODEL").is_none() {
        return;
    }
    match find_model() {
        Ok(path) => {
            println!("cargo::rerun-if-changed={}", path.display());
            println!("cargo::rustc-env=ELECTRA_EMBEDDED_MODEL={}", path.display());
        }
        Err(problem) => println!("cargo::error={problem}"),
    }
}

fn find_model() -> Result<PathBuf, String> {
    let path = match env::var_os(VARIABLE) {
        // A build script runs in the folder of its package, which is not the caller's.
        Some(path) if !Path::new(&path).is_absolute() => {
            return Err(format!("{VARIABLE} is {}, expected an absolute path", Path::new(&path).display()));
        }
        Some(path) => PathBuf::from(path),
        None => {
            let package = env::var_os("CARGO_MANIFEST_DIR").ok_or("CARGO_MANIFEST_DIR is not set")?;
            Path::new(&package).join("../../models/electra-small-sentiment/model.electra")
        }
    };
    if !path.is_file() {
        return Err(format!("{}: no such file; set {VARIABLE} to the path of a model file", path.display()));
    }
    Ok(path)
}
