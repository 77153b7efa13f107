//! Tells the kernels which instructions a 32-bit Arm target has, since stable Rust does not.
//!
//! `target_feature = "dsp"` and `"mve"` are not visible on stable Rust. They are derived from the
//! target (Armv7E-M always has DSP) and from the processor named by `-C target-cpu`.

use std::env;

/// Armv8-M processors that the compiler takes to have the DSP extension.
const DSP: [&str; 5] = ["cortex-m33", "cortex-m35p", "cortex-m52", "cortex-m55", "cortex-m85"];
/// The processors of [`DSP`] that also have MVE.
const MVE: [&str; 3] = ["cortex-m52", "cortex-m55", "cortex-m85"];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(arm_dsp, arm_mve, arm_v7a)");
    let target = env::var("TARGET").unwrap_or_default();
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let cpu =
        flags.split('\x1f').filter_map(|flag| flag.split("target-cpu=").nth(1)).next_back().unwrap_or("");
    let mve = target.starts_with("thumbv8m.main") && MVE.contains(&cpu);
    if target.starts_with("thumbv7em") || target.starts_with("thumbv8m.main") && DSP.contains(&cpu) {
        println!("cargo:rustc-cfg=arm_dsp");
    }
    if mve {
        println!("cargo:rustc-cfg=arm_mve");
    }
    // On these targets the assembler accepts NEON instructions. The kernels ask at run time whether
    // the processor has them.
    if target.starts_with("armv7") || target.starts_with("thumbv7neon") {
        println!("cargo:rustc-cfg=arm_v7a");
    }
    // With either feature, the compiler uses vectors of floats, which flush denormals to zero on
    // 32-bit Arm.
    if mve && !flags.contains("-mve.fp") {
        println!(
            "cargo:warning=logits may differ from other targets' in the last bits: add -C target-feature=-mve.fp"
        );
    }
    if target.starts_with("armv7") && flags.contains("+neon") {
        println!(
            "cargo:warning=logits may differ from other targets' in the last bits: leave out +neon, NEON is found at run time"
        );
    }
}
