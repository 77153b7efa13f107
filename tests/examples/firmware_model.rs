//! Writes the typing detector's test model: `cargo run -p electra-tests --example firmware_model`.
#![forbid(unsafe_code)]

use electra_tests::{FIRMWARE_MODEL, firmware_model};

fn main() -> std::io::Result<()> {
    let bytes = firmware_model();
    println!("{FIRMWARE_MODEL}: {} bytes", bytes.len());
    std::fs::write(FIRMWARE_MODEL, bytes)
}
