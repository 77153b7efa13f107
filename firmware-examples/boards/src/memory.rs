//! The two large blocks of memory: the model's, which `board.x` names, and the arena's, a static of the program.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicBool, Ordering};

unsafe extern "C" {
    // Bounds of the external memory, defined in `board.x`. Only their addresses mean anything.
    static _model_start: u8;
    static _model_end: u8;
}

/// The external memory that the model file begins; what follows the file is whatever the memory holds.
#[must_use]
pub fn model() -> &'static [u8] {
    let start = &raw const _model_start;
    let len = (&raw const _model_end).addr() - start.addr();
    // SAFETY: `board.x` names mapped memory that no section lies in and that nothing writes after the start; `u8` has
    // neither alignment nor invalid values. The address is taken from an integer since the memory is larger than the
    // symbol that marks where it begins.
    unsafe { core::slice::from_raw_parts(core::ptr::with_exposed_provenance(start.addr()), len) }
}

/// The memory of an engine, for a static in the section `.arena`, which is neither loaded nor zeroed at the start.
#[repr(C, align(64))]
pub struct Arena<const BYTES: usize>(UnsafeCell<MaybeUninit<[u8; BYTES]>>);

// SAFETY: `take` is the only access, and gives one reference in the life of the program.
unsafe impl<const BYTES: usize> Sync for Arena<BYTES> {}

impl<const BYTES: usize> Arena<BYTES> {
    /// Whatever the memory holds.
    #[expect(clippy::new_without_default, reason = "it is made in a static, where Default cannot be")]
    #[must_use]
    pub const fn new() -> Self {
        Self(UnsafeCell::new(MaybeUninit::uninit()))
    }

    /// The bytes, zeroed. Empty at every call but the first in the program, of whichever arena: an engine then says that
    /// its arena is too small.
    #[expect(clippy::mut_from_ref, reason = "given once")]
    #[must_use]
    pub fn take(&'static self) -> &'static mut [u8] {
        // Not beside the bytes, since their section begins as it was left.
        static TAKEN: AtomicBool = AtomicBool::new(false);
        if TAKEN.swap(true, Ordering::Relaxed) {
            return &mut [];
        }
        let bytes = self.0.get().cast::<u8>();
        // SAFETY: this point is reached once, so no other reference to the bytes exists or will. There are BYTES of them,
        // written before anything reads them.
        unsafe {
            bytes.write_bytes(0, BYTES);
            core::slice::from_raw_parts_mut(bytes, BYTES)
        }
    }
}
