//! Passes the linker scripts to the linker: that of cortex-m-rt or riscv-rt, which includes
//! `memory.x` of this folder, and that of defmt.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=memory.x");
    // The tests of the library run on the host, whose linker has its own script.
    if env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "none") {
        println!("cargo:rustc-link-search={}", env!("CARGO_MANIFEST_DIR"));
        for argument in ["-Tlink.x", "-Tdefmt.x", "--nmagic"] {
            println!("cargo:rustc-link-arg-bins={argument}");
        }
    }
}
