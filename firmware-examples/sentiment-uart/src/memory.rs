//! The two blocks of memory that `memory.x` lays out: the model's and the arena's.

use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicBool, Ordering};

unsafe extern "C" {
    // Bounds of the external memory, defined in `memory.x`. Only their addresses mean anything.
    static _model_start: u8;
    static _model_end: u8;
}

/// Bytes of the arena: `electra_core::arena_bytes` of ELECTRA-Small for [`crate::MAX_TOKENS`] tokens. A model that
/// needs more is refused, with the figure, when the engine is made.
pub const ARENA_BYTES: usize = 165_568;

#[repr(C, align(64))]
struct Arena(MaybeUninit<[u8; ARENA_BYTES]>);

// SAFETY: `memory.x` has a section of this name, which nothing else lies in and which is not loaded; `MaybeUninit` holds
// whatever the RAM holds then.
#[unsafe(link_section = ".arena")]
static mut ARENA: Arena = Arena(MaybeUninit::uninit());

/// The arena, zeroed. `None` at every call but the first.
pub fn arena() -> Option<&'static mut [u8]> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::Relaxed) {
        return None;
    }
    let bytes = (&raw mut ARENA).cast::<u8>();
    // SAFETY: this point is reached once, so no other reference to the static exists or will. It is ARENA_BYTES long,
    // and written whole before anything reads it.
    Some(unsafe {
        bytes.write_bytes(0, ARENA_BYTES);
        core::slice::from_raw_parts_mut(bytes, ARENA_BYTES)
    })
}

/// The external memory that the model file begins; what follows the file is whatever the memory holds.
pub fn model() -> &'static [u8] {
    let start = &raw const _model_start;
    let len = (&raw const _model_end).addr() - start.addr();
    // SAFETY: `memory.x` names mapped memory that no section lies in and that nothing writes after the start; `u8` has
    // neither alignment nor invalid values. The address is taken from an integer since the memory is larger than the
    // symbol that marks where it begins.
    unsafe { core::slice::from_raw_parts(core::ptr::with_exposed_provenance(start.addr()), len) }
}
