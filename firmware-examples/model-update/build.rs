//! Passes the public key to the program, and the linker scripts to the linker: that of cortex-m-rt,
//! which includes `memory.x` of this folder, and that of defmt.

use std::{env, fs};

use electra_signature::PublicKey;

fn main() {
    println!("cargo:rerun-if-changed=memory.x");
    // The tests of the library run on the host. It has no key, and its linker has its own script.
    if env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "none") {
        println!("cargo:rustc-link-search={}", env!("CARGO_MANIFEST_DIR"));
        for argument in ["-Tlink.x", "-Tdefmt.x", "--nmagic"] {
            println!("cargo:rustc-link-arg-bins={argument}");
        }
        match key() {
            Ok(line) => println!("cargo:rustc-env=KEY={line}"),
            Err(problem) => println!("cargo::error={problem}"),
        }
    }
}

/// Returns the key of the file that ELECTRA_PUBLIC_KEY names: its last line.
fn key() -> Result<String, String> {
    println!("cargo:rerun-if-env-changed=ELECTRA_PUBLIC_KEY");
    let path = env::var("ELECTRA_PUBLIC_KEY").map_err(|_| {
        "ELECTRA_PUBLIC_KEY is not set: name the absolute path of a public key, for example that of \
         `minisign -G -p model.pub -s model.key`"
    })?;
    println!("cargo:rerun-if-changed={path}");
    let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    PublicKey::parse(&text).map_err(|error| format!("{path}: {error}"))?;
    let line = text.lines().rfind(|line| !line.is_empty());
    line.map(str::to_owned).ok_or_else(|| format!("{path}: empty, expected a public key"))
}
