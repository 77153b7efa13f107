//! Where `defmt`'s frames go: to the debugger (an emulator is one), or from a `standalone` program to the second UART.
//!
//! `defmt-semihosting` does the first; both share an encoder and its lock here.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};

use critical_section::RestoreState;

#[defmt::global_logger]
struct Logger;

struct Frames {
    /// Whether a frame is being written: only then are the cells touched, and only by its writer.
    taken: AtomicBool,
    restore: UnsafeCell<RestoreState>,
    encoder: UnsafeCell<defmt::Encoder>,
}

// SAFETY: the cells are accessed within the critical section that `acquire` enters and `release` leaves, by one frame.
unsafe impl Sync for Frames {}

static FRAMES: Frames = Frames {
    taken: AtomicBool::new(false),
    restore: UnsafeCell::new(RestoreState::invalid()),
    encoder: UnsafeCell::new(defmt::Encoder::new()),
};

// SAFETY: `acquire` gives the encoder to one frame at a time, others are refused by a panic, which logs nothing; `defmt`
// calls `write` and `release` only in between.
unsafe impl defmt::Logger for Logger {
    fn acquire() {
        // SAFETY: left by `release`.
        let restore = unsafe { critical_section::acquire() };
        assert!(!FRAMES.taken.swap(true, Ordering::Relaxed), "log: a frame within a frame");
        // SAFETY: in the critical section, and no frame had the cells.
        unsafe {
            FRAMES.restore.get().write(restore);
            (*FRAMES.encoder.get()).start_frame(send);
        }
    }

    // What was sent has arrived.
    unsafe fn flush() {}

    unsafe fn release() {
        // SAFETY: called once after `acquire`, in whose critical section this is.
        unsafe {
            (*FRAMES.encoder.get()).end_frame(send);
            let restore = FRAMES.restore.get().read();
            FRAMES.taken.store(false, Ordering::Relaxed);
            critical_section::release(restore);
        }
    }

    unsafe fn write(bytes: &[u8]) {
        // SAFETY: called between `acquire` and `release`.
        unsafe { (*FRAMES.encoder.get()).write(bytes, send) }
    }
}

/// A log that cannot be written is lost: nobody waits for it.
#[cfg(not(feature = "standalone"))]
fn send(bytes: &[u8]) {
    // To the debugger's console, byte by byte: what is opened as standard output is QEMU's, where UART 0 is.
    for byte in bytes {
        semihosting::sys::arm_compat::sys_writec(*byte);
    }
}

#[cfg(feature = "standalone")]
fn send(bytes: &[u8]) {
    use embedded_io::Write;
    let _ = crate::board::log_uart().write_all(bytes);
}
