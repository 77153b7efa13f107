//! Chooses the board that `BOARD` names (each board's `cargo.toml` sets it), and shows the linker its memory map.

use std::path::Path;
use std::{env, fs};

fn main() -> Result<(), String> {
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
    println!("cargo:rustc-cfg=board={board:?}");
    // Stable Rust has no name for the architecture's version.
    println!("cargo:rustc-check-cfg=cfg(armv8m)");
    if env::var("TARGET").is_ok_and(|target| target.starts_with("thumbv8m")) {
        println!("cargo:rustc-cfg=armv8m");
    }
    let folder = folder.join(board);
    println!("cargo:rerun-if-changed={}", folder.join("board.x").display());
    println!("cargo:rustc-link-search={}", folder.display());
    Ok(())
}

/// A board is a folder with a memory map.
fn boards(folder: &Path) -> Result<Vec<String>, String> {
    println!("cargo:rerun-if-changed={}", folder.display());
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let boards = entries.flatten().filter(|entry| entry.path().join("board.x").exists());
    let mut names: Vec<String> = boards.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    Ok(names)
}
