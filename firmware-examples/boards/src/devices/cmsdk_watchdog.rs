//! Arm's APB watchdog of the Cortex-M System Design Kit. It counts down from a limit. At zero it
//! raises the non-maskable interrupt and starts again. At the second zero it resets the board.

use crate::WATCHDOG_SECONDS;
use crate::register::Register;

/// Bits of CONTROL.
const INTERRUPT_ENABLE: u32 = 1;
const RESET_ENABLE: u32 = 1 << 1;

/// Value that unlocks the registers through LOCK. The lock protects them from runaway programs.
const KEY: u32 = 0x1ACC_E551;

/// Stops a program that does not feed it for [`WATCHDOG_SECONDS`].
#[derive(Debug)]
pub struct Watchdog {
    base: usize,
    clock: u32,
}

impl Watchdog {
    /// Returns the watchdog at `base`, which counts with `clock` Hz. Does not change its state.
    pub(crate) const fn new(base: usize, clock: u32) -> Self {
        Self { base, clock }
    }

    pub(crate) fn start(self) -> Self {
        self.unlocked(|| {
            self.load();
            self.control(INTERRUPT_ENABLE | RESET_ENABLE);
        });
        self
    }

    /// Restarts the countdown. The program calls this while it makes progress.
    pub fn feed(&mut self) {
        self.unlocked(|| self.load());
    }

    pub(crate) fn stop(self) {
        self.unlocked(|| self.control(0));
    }

    fn load(&self) {
        Register::new(self.base).write(WATCHDOG_SECONDS * self.clock);
    }

    fn control(&self, bits: u32) {
        Register::new(self.base + 8).write(bits);
    }

    fn unlocked(&self, change: impl FnOnce()) {
        let lock = Register::new(self.base + 0xC00);
        lock.write(KEY);
        change();
        lock.write(0);
    }
}
