//! Drivers. The `board.rs` of a board lists its devices and their addresses.

#[cfg(target_arch = "arm")]
pub(crate) mod cmsdk_uart;
#[cfg(target_arch = "arm")]
pub(crate) mod cmsdk_watchdog;
#[cfg(target_arch = "arm")]
pub(crate) mod fpgaio;
#[cfg(target_arch = "riscv32")]
pub(crate) mod machine_timer;
#[cfg(target_arch = "riscv32")]
pub(crate) mod memory_led;
#[cfg(target_arch = "riscv32")]
pub(crate) mod ns16550;

use core::fmt;

/// Errors of a UART.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UartError {
    /// Bytes arrived before earlier ones were read, and were lost.
    Overrun,
}

impl fmt::Display for UartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overrun => f.write_str("UART overrun: bytes were lost"),
        }
    }
}

impl core::error::Error for UartError {}

impl embedded_io::Error for UartError {
    fn kind(&self) -> embedded_io::ErrorKind {
        match self {
            Self::Overrun => embedded_io::ErrorKind::Other,
        }
    }
}
