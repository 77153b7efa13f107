//! The interface of the boards, the same for each: [`Uart`], [`Led`], [`Watchdog`], [`ticks`], the
//! model in external [`memory`], a guarded and measured [`stack`], a log for `defmt`, [`exit`], and
//! handlers for a panic, a fault, and an expired watchdog.
//!
//! A board is a folder beside `src` with three files: `board.toml` (target, flags and emulator),
//! `board.rs` (devices and their addresses) and `board.x` (memory map). `devices` contains the
//! drivers. `cores` contains code that depends on the architecture of the processor.
#![no_std]
#![deny(unsafe_code)]

// The build script writes `mod board;` with the path of the board's module.
include!(concat!(env!("OUT_DIR"), "/board.rs"));
mod cores;
mod devices;
#[allow(unsafe_code)]
mod log;
#[allow(unsafe_code)]
pub mod memory;
#[cfg(feature = "provoke")]
#[allow(unsafe_code)]
pub mod provoke;
#[allow(unsafe_code)]
mod register;
#[allow(unsafe_code)]
pub mod stack;
mod stopped;

use core::sync::atomic::{AtomicBool, Ordering};

pub use board::{Led, TICKS_PER_SECOND, Uart, Watchdog, ticks};
pub use cores::entry;
pub use devices::UartError;
pub use stopped::exit;

/// Name of the board: that of its folder.
pub const NAME: &str = env!("BOARD");

/// Longest time between two feedings of the watchdog, in seconds. One is before a run and the next
/// after it. A run of 64 tokens takes 0.8 billion instructions on a Cortex-M7; at 25 MHz this limit
/// allows 3.7 cycles per instruction.
pub const WATCHDOG_SECONDS: u32 = 120;

/// The peripherals. Only one value exists.
#[derive(Debug)]
pub struct Board {
    /// First UART, 115,200 baud.
    pub uart: Uart,
    /// User LED 0.
    pub led0: Led,
    /// User LED 1.
    pub led1: Led,
    /// Watchdog, started.
    pub watchdog: Watchdog,
}

impl Board {
    /// Guards the stack and sets up the peripherals, with the LEDs off. Returns `None` on every
    /// call but the first.
    #[must_use]
    pub fn take() -> Option<Self> {
        static TAKEN: AtomicBool = AtomicBool::new(false);
        if TAKEN.swap(true, Ordering::Relaxed) {
            return None;
        }
        cores::guard_stack(stack::region());
        stack::paint();
        let [mut led0, mut led1] = [board::led(0), board::led(1)];
        stopped::light(&mut led0, false);
        stopped::light(&mut led1, false);
        Some(Self { uart: board::uart(), led0, led1, watchdog: board::watchdog().start() })
    }
}
