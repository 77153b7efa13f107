//! Sends the frames of `defmt` to the debugger (an emulator counts as one), or, in a `standalone`
//! program, to the second UART.
//!
//! The crate `defmt-semihosting` supports only the debugger. Here both outputs share one encoder
//! and its lock.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};

use critical_section::RestoreState;

#[defmt::global_logger]
struct Logger;

struct Frames {
    /// Whether a frame is being written. Only its writer accesses the cells, and only during that
    /// time.
    taken: AtomicBool,
    restore: UnsafeCell<RestoreState>,
    encoder: UnsafeCell<defmt::Encoder>,
}

// SAFETY: the cells are accessed only within the critical section that `acquire` enters and
// `release` leaves, for one frame at a time.
unsafe impl Sync for Frames {}

static FRAMES: Frames = Frames {
    taken: AtomicBool::new(false),
    restore: UnsafeCell::new(RestoreState::invalid()),
    encoder: UnsafeCell::new(defmt::Encoder::new()),
};

// SAFETY: `acquire` gives the encoder to one frame at a time. A second frame panics, and the panic
// logs nothing. `defmt` calls `write` and `release` only after `acquire`.
unsafe impl defmt::Logger for Logger {
    fn acquire() {
        // SAFETY: `release` leaves the critical section.
        let restore = unsafe { critical_section::acquire() };
        assert!(!FRAMES.taken.swap(true, Ordering::Relaxed), "log: a frame within a frame");
        // SAFETY: this code is in the critical section, and no frame uses the cells.
        unsafe {
            FRAMES.restore.get().write(restore);
            (*FRAMES.encoder.get()).start_frame(send);
        }
    }

    // Does nothing, because sending waits until the bytes have arrived.
    unsafe fn flush() {}

    unsafe fn release() {
        // SAFETY: `defmt` calls this once after `acquire`, so this code is in that critical
        // section.
        unsafe {
            (*FRAMES.encoder.get()).end_frame(send);
            let restore = FRAMES.restore.get().read();
            FRAMES.taken.store(false, Ordering::Relaxed);
            critical_section::release(restore);
        }
    }

    unsafe fn write(bytes: &[u8]) {
        // SAFETY: `defmt` calls this between `acquire` and `release`.
        unsafe { (*FRAMES.encoder.get()).write(bytes, send) }
    }
}

/// Sends bytes to the debugger. If that fails, they are lost.
#[cfg(not(feature = "standalone"))]
fn send(bytes: &[u8]) {
    // The bytes go to the debugger's console one by one. Standard output, opened by semihosting,
    // would be that of QEMU, which UART 0 uses.
    for byte in bytes {
        semihosting::sys::arm_compat::sys_writec(*byte);
    }
}

#[cfg(feature = "standalone")]
fn send(bytes: &[u8]) {
    use embedded_io::Write;
    let _ = crate::board::log_uart().write_all(bytes);
}
