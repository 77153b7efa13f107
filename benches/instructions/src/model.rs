//! Runs of a whole model, from ids to logits.

use std::error::Error;
use std::fs::File;
use std::io::Read;

use electra_core::{ARENA_ALIGNMENT, Engine, Kernels, Model, arena_bytes};

/// Runs the model in the file `path` on one sequence of `tokens` tokens `times` times, with the
/// direct engine on one thread. Returns a hash of the logits.
///
/// # Errors
/// When the file is not a model, or when the model does not accept sequences of that length.
pub fn run(path: &str, kernels: Kernels, [tokens, times]: [usize; 2]) -> Result<u32, Box<dyn Error>> {
    let mut file = File::open(path).map_err(|error| format!("{path}: {error}"))?;
    let len = usize::try_from(file.metadata()?.len())?;
    let mut block = zeroed(len);
    let bytes = aligned(&mut block, len);
    file.read_exact(bytes).map_err(|error| format!("{path}: {error}"))?;
    // Checksums are not verified, because QEMU would log all blocks that compute them.
    let model = Model::parse(bytes).map_err(|error| format!("{path}: {error}"))?;
    let vocab_size = model.config().vocab_size;
    let ids: Vec<u16> = (0..tokens).map(|i| (1000 + i * 37) % vocab_size).map(|id| id as u16).collect();
    let len = arena_bytes(model.config(), tokens);
    let mut block = zeroed(len);
    let mut engine = Engine::new(&model, kernels, aligned(&mut block, len), tokens)?;
    let mut hash = 0u32;
    for _ in 0..times {
        let logits = engine.run(&ids)?;
        hash = logits.iter().fold(hash, |hash, logit| hash.rotate_left(5) ^ logit.to_bits());
    }
    Ok(hash)
}

/// Returns zeros in which `aligned` finds `len` bytes.
fn zeroed(len: usize) -> Vec<u8> {
    vec![0; len + ARENA_ALIGNMENT]
}

/// Returns the first `len` bytes of `block` that are aligned as models and arenas must be.
fn aligned(block: &mut [u8], len: usize) -> &mut [u8] {
    let start = block.as_ptr().align_offset(ARENA_ALIGNMENT);
    &mut block[start..][..len]
}
