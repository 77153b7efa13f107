//! The stack. The core guards it against overflow (see `cores`), and it is painted to measure its
//! depth.
//!
//! It lies in its own region, `STACK` of `board.x`, below the statics or apart from them. An
//! overflow therefore reaches the guard and not the statics, and a fault handler can start with an
//! empty stack.

use core::ops::Range;

unsafe extern "C" {
    // Bounds of the region `STACK`, defined in `board.x`. Only their addresses are meaningful.
    static _stack_region_start: u8;
    static _stack_region_end: u8;
}

const PAINT: u32 = 0xA5A5_5A5A;

/// Bytes below the stack pointer that [`paint`] does not write, for its own frame and those of the
/// functions that it calls.
const MARGIN: usize = 256;

pub(crate) fn region() -> Range<usize> {
    (&raw const _stack_region_start).addr()..(&raw const _stack_region_end).addr()
}

/// Paints the unused part of the stack. Called early in the program.
pub(crate) fn paint() {
    let Range { start, end } = region();
    let used = crate::cores::stack_pointer().clamp(start, end);
    let words = (used - start).saturating_sub(MARGIN) / size_of::<u32>();
    for index in 0..words {
        let address = start + index * size_of::<u32>();
        // SAFETY: the address lies in the stack's region, which `board.x` aligns and uses for
        // nothing else. It is below the stack pointer by a margin that this function's frame does
        // not reach, so no Rust object is there.
        unsafe { core::ptr::with_exposed_provenance_mut::<u32>(address).write_volatile(PAINT) }
    }
}

/// Returns the most bytes of the stack that were in use at once since it was painted.
#[must_use]
pub fn high_water() -> usize {
    let Range { start, end } = region();
    let painted = (start..end).step_by(size_of::<u32>()).take_while(|address| {
        // SAFETY: the address is an aligned word of the stack's region, as in `paint`. A live frame
        // may be there. A volatile read as an integer assumes nothing about it.
        unsafe { core::ptr::with_exposed_provenance::<u32>(*address).read_volatile() == PAINT }
    });
    (end - start) - painted.count() * size_of::<u32>()
}

/// Returns the size of the whole stack in bytes.
#[must_use]
pub fn size() -> usize {
    region().len()
}
