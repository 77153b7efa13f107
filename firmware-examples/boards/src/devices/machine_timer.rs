//! RISC-V's machine timer in the role of a watchdog. Its interrupt ends a program that hangs,
//! unless the program has masked interrupts. Nothing resets the board.

use crate::register::Register;
use crate::{WATCHDOG_SECONDS, cores};

/// Stops a program that does not feed it for [`WATCHDOG_SECONDS`].
#[derive(Debug)]
pub struct Watchdog {
    clint: usize,
    clock: u32,
}

impl Watchdog {
    /// Returns the timer of the first hart in the interruptor at `clint`, which counts with `clock`
    /// Hz. Does not change its state.
    pub(crate) const fn new(clint: usize, clock: u32) -> Self {
        Self { clint, clock }
    }

    pub(crate) fn start(mut self) -> Self {
        self.feed();
        cores::stop_at_timer();
        self
    }

    /// Postpones the interrupt. The program calls this while it makes progress.
    pub fn feed(&mut self) {
        let [time_low, time_high, limit_low, limit_high] =
            [0xBFF8, 0xBFFC, 0x4000, 0x4004].map(|at| Register::new(self.clint + at));
        let (high, low) = loop {
            let high = time_high.read();
            let low = time_low.read();
            if time_high.read() == high {
                break (high, low);
            }
        };
        let time = u64::from(high) << 32 | u64::from(low);
        let limit = time + u64::from(WATCHDOG_SECONDS) * u64::from(self.clock);
        // Between these writes the 64-bit limit is never below its old or its new value. A lower
        // limit could cause the interrupt.
        limit_high.write(u32::MAX);
        limit_low.write(limit as u32);
        limit_high.write((limit >> 32) as u32);
    }

    pub(crate) fn stop(self) {
        cores::ignore_timer();
    }
}
