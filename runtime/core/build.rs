//! Tells the kernels what stable Rust does not: which instructions a 32-bit Arm target has.
//!
//! `target_feature = "dsp"` and `"mve"` are not visible on stable, so they are derived from what implies them:
//! the target (Armv7E-M always has DSP) and the processor named by `-C target-cpu`.

use std::env;

/// Armv8-M processors that the compiler takes to have the DSP extension, and of these those with MVE.
const DSP: [&str; 5] = ["cortex-m33", "cortex-m35p", "cortex-m52", "cortex-m55", "cortex-m85"];
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
    // Where the assembler may take NEON; whether the processor has it is asked at run time.
    if target.starts_with("armv7") || target.starts_with("thumbv7neon") {
        println!("cargo:rustc-cfg=arm_v7a");
    }
    // With either, the compiler makes vectors of floats, which on 32-bit Arm flush denormals to zero.
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
