//! Turns the figures that scripts measured into constants: `firmware-examples/footprint.toml` and
//! `packaging/executables.toml`.

use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

use toml::{Table, Value};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if let Err(problem) = write_figures() {
        println!("cargo::error={problem}");
    }
}

fn write_figures() -> Result<(), String> {
    let mut code = String::from("pub(super) const FIRMWARE: &[(&str, &str, &str, u64)] = &[\n");
    let of_table = |value: &Value| value.as_table().cloned().unwrap_or_default();
    for (example, boards) in &read("../../firmware-examples/footprint.toml")? {
        for (board, figures) in &of_table(boards) {
            // Names and quotients are not among the figures that the command reports.
            for (key, value) in &of_table(figures) {
                let Some(value) = value.as_integer() else { continue };
                writeln!(code, "    ({example:?}, {board:?}, {key:?}, {value}),")
                    .map_err(|error| error.to_string())?;
            }
        }
    }
    code += "];\npub(super) const EXECUTABLES: &[(&str, u64)] = &[\n";
    for (target, bytes) in &read("../../packaging/executables.toml")? {
        let bytes = bytes.as_integer().ok_or_else(|| format!("executables.toml: {target} is no number"))?;
        writeln!(code, "    ({target:?}, {bytes}),").map_err(|error| error.to_string())?;
    }
    code += "];\n";
    let output = env::var("OUT_DIR").map_err(|error| error.to_string())?;
    fs::write(Path::new(&output).join("figures.rs"), code).map_err(|error| error.to_string())
}

fn read(path: &str) -> Result<Table, String> {
    println!("cargo::rerun-if-changed={path}");
    let text = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    text.parse().map_err(|error| format!("{path}: {error}"))
}
