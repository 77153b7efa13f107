//! QEMU's board "virt" with an RV32IMAC core. It does not exist as hardware, and it has no LEDs, no
//! second UART and no watchdog.

use crate::cores;
pub use crate::devices::machine_timer::Watchdog;
pub use crate::devices::memory_led::Led;
pub use crate::devices::ns16550::Uart;

/// Ticks of [`ticks`] per second.
pub const TICKS_PER_SECOND: u32 = 10_000_000;

/// Address at which a read faults: in the guard below the stack.
#[cfg(feature = "provoke")]
pub(crate) const UNREADABLE: usize = 0x8007_F000;

#[cfg(feature = "standalone")]
compile_error!("riscv-virt has no second UART for the log of a standalone program");

/// Returns the ticks of the timer since the start, modulo 2³².
///
/// Under QEMU with `-icount shift=0`, one instruction takes one virtual nanosecond.
pub fn ticks() -> u32 {
    cores::time()
}

pub(crate) fn uart() -> Uart {
    Uart::start(0x1000_0000, 3_686_400)
}

pub(crate) const fn led(number: u32) -> Led {
    Led::new(number)
}

pub(crate) const fn watchdog() -> Watchdog {
    Watchdog::new(0x0200_0000, TICKS_PER_SECOND)
}
