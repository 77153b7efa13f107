//! The arena of a std engine: one aligned heap block, zeroed, never resized.

use bytemuck::{Pod, Zeroable};

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
struct Line([u8; electra_core::ARENA_ALIGNMENT]);

/// A block of exactly the requested number of bytes.
pub(crate) struct Arena {
    lines: Box<[Line]>,
    len: usize,
}

impl Arena {
    /// Allocates `len` bytes. Returns `None` when the system refuses.
    pub(crate) fn new(len: usize) -> Option<Self> {
        let lines = bytemuck::allocation::try_zeroed_slice_box(len.div_ceil(size_of::<Line>())).ok()?;
        Some(Self { lines, len })
    }

    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        &mut bytemuck::cast_slice_mut(&mut self.lines)[..self.len]
    }
}
