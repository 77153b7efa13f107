//! Names the linker scripts: cortex-m-rt's or riscv-rt's, which includes `memory.x` of this folder, and defmt's.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=memory.x");
    // The library's tests run on the host, whose linker has its own script.
    if env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "none") {
        println!("cargo:rustc-link-search={}", env!("CARGO_MANIFEST_DIR"));
        for argument in ["-Tlink.x", "-Tdefmt.x", "--nmagic"] {
            println!("cargo:rustc-link-arg-bins={argument}");
        }
    }
}
