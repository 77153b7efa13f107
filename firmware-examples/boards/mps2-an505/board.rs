//! Arm's MPS2 board with a Cortex-M33, as in application note AN505. Everything runs in the secure
//! state.

pub use crate::devices::cmsdk_uart::Uart;
pub use crate::devices::cmsdk_watchdog::Watchdog;
use crate::devices::fpgaio;
pub use crate::devices::fpgaio::Led;

/// Ticks of [`ticks`] per second.
pub const TICKS_PER_SECOND: u32 = 20_000_000;

/// Address at which a read faults, because the board has no memory there.
#[cfg(feature = "provoke")]
pub(crate) const UNREADABLE: usize = 0x3F00_0000;

const FPGAIO: usize = 0x5030_2000;

/// Returns the cycles of the board's clock since the start, modulo 2³².
///
/// Under QEMU with `-icount shift=0`, one instruction takes one virtual nanosecond.
pub fn ticks() -> u32 {
    fpgaio::counter(FPGAIO)
}

pub(crate) fn uart() -> Uart {
    Uart::start(0x5020_0000, TICKS_PER_SECOND)
}

#[cfg(feature = "standalone")]
pub(crate) fn log_uart() -> Uart {
    Uart::start(0x5020_1000, TICKS_PER_SECOND)
}

pub(crate) const fn led(number: u32) -> Led {
    Led::new(FPGAIO, number)
}

/// Returns the secure watchdog, which counts the cycles of the board's clock.
pub(crate) const fn watchdog() -> Watchdog {
    Watchdog::new(0x5008_1000, TICKS_PER_SECOND)
}
