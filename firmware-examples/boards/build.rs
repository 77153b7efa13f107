//! Selects the board that `BOARD` names (the `board.toml` of each board sets it) and passes its
//! memory map to the linker.

use std::path::Path;
use std::{env, fs};

fn main() {
    if let Err(problem) = choose() {
        println!("cargo::error={problem}");
    }
}

fn choose() -> Result<(), String> {
    println!("cargo:rerun-if-env-changed=BOARD");
    let folder = env::var("CARGO_MANIFEST_DIR").map_err(|error| error.to_string())?;
    let folder = Path::new(&folder);
    let boards = boards(folder)?;
    let names: Vec<String> = boards.iter().map(|name| format!("{name:?}")).collect();
    let board = env::var("BOARD").map_err(|_| {
        format!(
            "BOARD is not set: run cargo in an example's folder, or with --config {}/BOARD/board.toml",
            folder.display()
        )
    })?;
    if !boards.contains(&board) {
        return Err(format!("BOARD is {board:?}, expected one of {}", names.join(", ")));
    }
    let target = env::var("TARGET").map_err(|error| error.to_string())?;
    has_processor(folder, &target)?;
    let module = folder.join(&board).join("board.rs");
    let output = env::var("OUT_DIR").map_err(|error| error.to_string())?;
    let declaration = format!("#[path = {module:?}]\nmod board;\n");
    fs::write(Path::new(&output).join("board.rs"), declaration).map_err(|error| error.to_string())?;
    // Stable Rust has no `cfg` for the version of the architecture.
    println!("cargo:rustc-check-cfg=cfg(armv8m)");
    if target.starts_with("thumbv8m") {
        println!("cargo:rustc-cfg=armv8m");
    }
    let folder = folder.join(board);
    println!("cargo:rerun-if-changed={}", folder.join("board.x").display());
    println!("cargo:rustc-link-search={}", folder.display());
    Ok(())
}

/// Checks that Cargo.toml has the crates for the processors of the target. If they were missing,
/// the compiler would report a different problem.
fn has_processor(folder: &Path, target: &str) -> Result<(), String> {
    let manifest = folder.join("Cargo.toml");
    println!("cargo:rerun-if-changed={}", manifest.display());
    let text = fs::read_to_string(&manifest).map_err(|error| format!("{}: {error}", manifest.display()))?;
    let tables = [format!("[target.{target}.dependencies]"), format!("[target.'{target}'.dependencies]")];
    if text.lines().any(|line| tables.iter().any(|table| line.trim() == table)) {
        return Ok(());
    }
    Err(format!(
        "{}: a line is missing, expected: {} (with the crates for this target's processors)",
        manifest.display(),
        tables[0]
    ))
}

/// Returns the sorted names of the boards: folders with a `board.toml`.
fn boards(folder: &Path) -> Result<Vec<String>, String> {
    println!("cargo:rerun-if-changed={}", folder.display());
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let boards = entries.flatten().filter(|entry| entry.path().join("board.toml").exists());
    let mut names: Vec<String> = boards.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    Ok(names)
}
