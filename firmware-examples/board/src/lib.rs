//! What QEMU's mps2-an500 (Cortex-M7, 25 MHz) offers the examples: [`Uart`], [`Led`], [`ticks`], [`exit`], a
//! measured [`stack`], and what happens on a panic or a fault.
//!
//! Addresses and bits are those of Arm's application note AN500 and of the CMSDK's APB UART.
//!
//! The program's `memory.x` puts the stack into a region called `STACK` at the bottom of RAM: an overflow meets
//! [`stack`]'s guard instead of statics, and the fault handler starts over with an empty stack.
#![no_std]
#![deny(unsafe_code)]

#[allow(unsafe_code)]
mod fault;
mod led;
#[allow(unsafe_code)]
mod register;
#[allow(unsafe_code)]
pub mod stack;
mod uart;

use core::sync::atomic::{AtomicBool, Ordering};

pub use led::Led;
pub use uart::{Uart, UartError};

use register::Register;

/// Ticks of [`ticks`] a second.
pub const TICKS_PER_SECOND: u32 = 25_000_000;

/// FPGAIO's COUNTER, which a prescaler of 0 lets count every cycle of the board's clock.
const COUNTER: Register = Register::new(0x4002_8018);

/// The peripherals, each once.
#[derive(Debug)]
pub struct Board {
    /// UART 0, 115,200 baud.
    pub uart: Uart,
    /// User LED 0.
    pub led0: Led,
    /// User LED 1.
    pub led1: Led,
}

impl Board {
    /// Sets up the peripherals, LEDs off. `None` at every call but the first.
    #[must_use]
    pub fn take() -> Option<Self> {
        static TAKEN: AtomicBool = AtomicBool::new(false);
        if TAKEN.swap(true, Ordering::Relaxed) {
            return None;
        }
        led::all_off();
        Some(Self { uart: Uart::start(), led0: Led::new(0), led1: Led::new(1) })
    }
}

/// Clock cycles since the start, modulo 2³².
///
/// Under QEMU with `-icount shift=0` an instruction takes one virtual nanosecond, so that 40 instructions are a tick.
#[must_use]
pub fn ticks() -> u32 {
    COUNTER.read()
}

/// Ends the emulation with this exit status, by semihosting. A board needs a debugger attached to survive it.
pub fn exit(status: i32) -> ! {
    semihosting::process::exit(status)
}
