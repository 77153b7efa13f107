//! The stack: guarded by the core against overflow (see `cores`), painted to see how deep it went.
//!
//! It lies in a region of its own, `STACK` of `board.x`, below the statics' or apart from them: what overflows meets the
//! guard instead of statics, and a fault handler starts over with an empty stack.

use core::ops::Range;

unsafe extern "C" {
    // Bounds of the region `STACK`, defined in `board.x`. Only their addresses mean anything.
    static _stack_region_start: u8;
    static _stack_region_end: u8;
}

const PAINT: u32 = 0xA5A5_5A5A;

/// Bytes below the stack pointer that [`paint`] leaves alone: its own frame and what it calls.
const MARGIN: usize = 256;

pub(crate) fn region() -> Range<usize> {
    (&raw const _stack_region_start).addr()..(&raw const _stack_region_end).addr()
}

/// Paints the unused part of the stack; called early.
pub(crate) fn paint() {
    let Range { start, end } = region();
    let used = crate::cores::stack_pointer().clamp(start, end);
    let words = (used - start).saturating_sub(MARGIN) / size_of::<u32>();
    for index in 0..words {
        let address = start + index * size_of::<u32>();
        // SAFETY: the address lies in the stack's region, which `board.x` aligns and gives to nothing else, and below
        // the stack pointer by a margin that this function's frame does not reach: no Rust object is there.
        unsafe { core::ptr::with_exposed_provenance_mut::<u32>(address).write_volatile(PAINT) }
    }
}

/// Most bytes of stack in use at once since it was painted.
#[must_use]
pub fn high_water() -> usize {
    let Range { start, end } = region();
    let painted = (start..end).step_by(size_of::<u32>()).take_while(|address| {
        // SAFETY: an aligned word of the stack's region, as in `paint`. What lies there may be a live frame; reading it
        // as an integer, volatile, assumes nothing about it.
        unsafe { core::ptr::with_exposed_provenance::<u32>(*address).read_volatile() == PAINT }
    });
    (end - start) - painted.count() * size_of::<u32>()
}

/// Bytes of the whole stack.
#[must_use]
pub fn size() -> usize {
    region().len()
}
