//! Selects the board that `BOARD` names (the `cargo.toml` of each board sets it) and passes its
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
    println!("cargo:rustc-check-cfg=cfg(board, values({}))", names.join(", "));
    let board = env::var("BOARD").map_err(|_| {
        format!(
            "BOARD is not set: run cargo in an example's folder, or with --config {}/BOARD/cargo.toml",
            folder.display()
        )
    })?;
    if !boards.contains(&board) {
        return Err(format!("BOARD is {board:?}, expected one of {}", names.join(", ")));
    }
    let target = env::var("TARGET").map_err(|error| error.to_string())?;
    complete(folder, &board, &target)?;
    println!("cargo:rustc-cfg=board={board:?}");
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

/// Checks that the lines that a new board needs exist. If one were missing, the compiler would
/// report a different problem.
fn complete(folder: &Path, board: &str, target: &str) -> Result<(), String> {
    let module = format!("#[cfg_attr(board = {board:?}, path = \"../{board}/board.rs\")]");
    has_line(&folder.join("src/lib.rs"), &module, "above `mod board;`")?;
    let name = format!("pub const NAME: &str = {board:?};");
    has_line(&folder.join(board).join("board.rs"), &name, "the name of the folder")?;
    let dependencies =
        [format!("[target.{target}.dependencies]"), format!("[target.'{target}'.dependencies]")];
    let manifest = folder.join("Cargo.toml");
    has_line(&manifest, &dependencies[0], "with the crates for this target's processors")
        .or_else(|problem| has_line(&manifest, &dependencies[1], "").map_err(|_| problem))
}

/// Checks that `file` contains `line`. `purpose` describes the line or its position in the error
/// message.
fn has_line(file: &Path, line: &str, purpose: &str) -> Result<(), String> {
    println!("cargo:rerun-if-changed={}", file.display());
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    if text.lines().any(|found| found.trim() == line) {
        return Ok(());
    }
    Err(format!("{}: a line is missing, expected: {line} ({purpose})", file.display()))
}

/// Returns the sorted names of the boards: folders with a memory map, `board.x`.
fn boards(folder: &Path) -> Result<Vec<String>, String> {
    println!("cargo:rerun-if-changed={}", folder.display());
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let boards = entries.flatten().filter(|entry| entry.path().join("board.x").exists());
    let mut names: Vec<String> = boards.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    Ok(names)
}
