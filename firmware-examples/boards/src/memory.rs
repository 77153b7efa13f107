//! The two large blocks of memory: the model, at the address in `board.x`, and the arena, a static
//! variable of the program.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicBool, Ordering};

unsafe extern "C" {
    // Bounds of the external memory, defined in `board.x`. Only their addresses are meaningful.
    static _model_start: u8;
    static _model_end: u8;
}

/// Whether a reference to the external memory exists.
static EXTERNAL_TAKEN: AtomicBool = AtomicBool::new(false);

/// Returns the external memory, which begins with the model file. The content after the file is
/// arbitrary.
///
/// On every call but the first one in the program, also after one of [`writable`], the slice is
/// empty.
#[must_use]
pub fn model() -> &'static [u8] {
    writable()
}

/// Returns the external memory for a program that stores models there. It has the content that
/// [`model`] describes.
///
/// On every call but the first one in the program, also after one of [`model`], the slice is empty.
#[must_use]
pub fn writable() -> &'static mut [u8] {
    if EXTERNAL_TAKEN.swap(true, Ordering::Relaxed) {
        return &mut [];
    }
    let start = &raw const _model_start;
    let len = (&raw const _model_end).addr() - start.addr();
    // SAFETY: `board.x` names mapped memory that contains no section. This point is reached once,
    // so no other reference to the bytes exists or will exist. `u8` needs no alignment and has no
    // invalid values. The pointer is made from an integer, because the memory is larger than the
    // symbol at its start.
    unsafe { core::slice::from_raw_parts_mut(core::ptr::with_exposed_provenance_mut(start.addr()), len) }
}

/// Flips a bit of the byte at `offset` of the external memory, as rotting memory does.
#[cfg(feature = "provoke")]
pub(crate) fn rot(offset: usize) {
    let start = (&raw const _model_start).addr();
    let byte = core::ptr::with_exposed_provenance_mut::<u8>(start + offset);
    // SAFETY: `board.x` names memory of more bytes than `offset`, which the emulator lets a program
    // write. Rotting memory changes below a shared reference, and so does this write. It is
    // volatile, so it is made, and it exists only in the image that provokes failures.
    unsafe { byte.write_volatile(byte.read_volatile() ^ 1) };
}

/// Memory of an engine, for a static variable in the section `.arena`, which is neither loaded nor
/// zeroed at the start.
#[repr(C, align(64))]
pub struct Arena<const BYTES: usize>(UnsafeCell<MaybeUninit<[u8; BYTES]>>);

// SAFETY: `take` is the only access, and returns one reference in the life of the program.
unsafe impl<const BYTES: usize> Sync for Arena<BYTES> {}

impl<const BYTES: usize> Arena<BYTES> {
    /// Returns an arena with arbitrary content.
    #[expect(clippy::new_without_default, reason = "it is made in a static, where Default cannot be")]
    #[must_use]
    pub const fn new() -> Self {
        Self(UnsafeCell::new(MaybeUninit::uninit()))
    }

    /// Returns the zeroed bytes on the first call in the program, and an empty slice on every later
    /// call, also for another arena. With an empty slice, an engine reports that its arena is too
    /// small.
    #[expect(clippy::mut_from_ref, reason = "given once")]
    #[must_use]
    pub fn take(&'static self) -> &'static mut [u8] {
        // Not a field of `Arena`, because the section of an arena is not initialised.
        static TAKEN: AtomicBool = AtomicBool::new(false);
        if TAKEN.swap(true, Ordering::Relaxed) {
            return &mut [];
        }
        let bytes = self.0.get().cast::<u8>();
        // SAFETY: this point is reached once, so no other reference to the bytes exists or will
        // exist. There are BYTES of them, and they are written before they are read.
        unsafe {
            bytes.write_bytes(0, BYTES);
            core::slice::from_raw_parts_mut(bytes, BYTES)
        }
    }
}
