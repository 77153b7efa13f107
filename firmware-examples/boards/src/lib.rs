//! The interface of the boards, the same for each: [`Uart`], [`Led`], [`Watchdog`], [`ticks`], the
//! model in external [`memory`], a guarded and measured [`stack`], a log for `defmt`, [`exit`], and
//! handlers for a panic, a fault, and an expired watchdog.
//!
//! A board is a folder beside `src` with four files: `board.rs` (devices and their addresses),
//! `board.x` (memory map), `cargo.toml` (target, flags and runner) and `qemu` (settings of the
//! emulator). `devices` contains the drivers. `cores` contains code that depends on the
//! architecture of the processor.
#![no_std]
#![deny(unsafe_code)]

#[cfg_attr(board = "mps2-an500", path = "../mps2-an500/board.rs")]
#[cfg_attr(board = "mps2-an505", path = "../mps2-an505/board.rs")]
#[cfg_attr(board = "mps3-an547", path = "../mps3-an547/board.rs")]
#[cfg_attr(board = "riscv-virt", path = "../riscv-virt/board.rs")]
mod board;
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

pub use board::{Led, NAME, TICKS_PER_SECOND, Uart, Watchdog, ticks};
pub use cores::entry;
pub use devices::UartError;
pub use stopped::exit;

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
