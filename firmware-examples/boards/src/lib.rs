//! What the boards offer the examples, the same for each: [`Uart`], [`Led`], [`Watchdog`], [`ticks`], the model in
//! external [`memory`], a guarded and measured [`stack`], a log for `defmt`, [`exit`], and what happens on a panic, a
//! fault, or when the watchdog is not fed.
//!
//! A board is a folder beside `src`: `board.rs` (which devices it has, and where), `board.x` (its memory map),
//! `cargo.toml` (target, flags and runner), `qemu` (how it is emulated). `devices` has the drivers, `cores` what the
//! processors' architectures do differently.
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

/// Longest time between two feedings of the watchdog, of which one lies before a run and the next behind it. A run of 64
/// tokens has 0.8 billion instructions on a Cortex-M7; at a clock of 25 MHz this allows 3.7 cycles for each.
pub const WATCHDOG_SECONDS: u32 = 120;

/// The peripherals, each once.
#[derive(Debug)]
pub struct Board {
    /// The first UART, 115,200 baud.
    pub uart: Uart,
    /// User LED 0.
    pub led0: Led,
    /// User LED 1.
    pub led1: Led,
    /// Running.
    pub watchdog: Watchdog,
}

impl Board {
    /// Guards the stack and sets up the peripherals, LEDs off. `None` at every call but the first.
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
