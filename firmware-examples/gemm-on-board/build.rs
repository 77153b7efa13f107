//! Passes the memory map of the target's board, and the linker script of cortex-m-rt, to the
//! linker.

use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let board = if env::var("TARGET").is_ok_and(|target| target.starts_with("thumbv8m")) {
        "cortex-m55.x"
    } else {
        "cortex-m7.x"
    };
    println!("cargo:rerun-if-changed={board}");
    let out = env::var_os("OUT_DIR").map(PathBuf::from).ok_or(io::ErrorKind::NotFound)?;
    fs::copy(board, out.join("memory.x"))?;
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    println!("cargo:rustc-link-arg-bins=--nmagic");
    Ok(())
}
