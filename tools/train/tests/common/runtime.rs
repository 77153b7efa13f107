//! The runtime as an oracle: packs a folder as `electra pack` does, and computes its logits.

use std::path::Path;

use electra_core::{Engine, Kernels, Model, arena_bytes};

use crate::pack::pack;

/// Computes the logits of each of `sequences` with the runtime on the packed `folder`.
pub fn logits(folder: &Path, sequences: &[&[u16]]) -> Vec<Vec<f32>> {
    let packed = pack(folder);
    let mut memory = Vec::new();
    let bytes = aligned(&mut memory, packed.len());
    bytes.copy_from_slice(&packed);
    let model = Model::open(bytes).unwrap();
    let longest = sequences.iter().map(|ids| ids.len()).max().unwrap();
    let mut memory = Vec::new();
    let arena = aligned(&mut memory, arena_bytes(model.config(), longest));
    let mut engine = Engine::new(&model, Kernels::detect(), arena, longest).unwrap();
    sequences.iter().map(|ids| engine.run(ids).unwrap().to_vec()).collect()
}

/// Returns `length` zeros at an address with the alignment of model files and arenas.
fn aligned(memory: &mut Vec<u8>, length: usize) -> &mut [u8] {
    const ALIGNMENT: usize = 64;
    memory.resize(length + ALIGNMENT, 0);
    let start = memory.as_ptr().align_offset(ALIGNMENT);
    &mut memory[start..start + length]
}
