//! The FPGAIO block of Arm's MPS2 and MPS3 boards: LEDs and a counter.

use core::convert::Infallible;

use embedded_hal::digital::{ErrorType, OutputPin};

use crate::register::Register;

/// A user LED that is lit while its pin is high.
#[derive(Debug)]
pub struct Led {
    /// Register with one bit per LED; 1 lights it.
    leds: Register,
    mask: u32,
}

impl Led {
    /// Returns the LED of `bit` without changing its state. Several values for one LED may exist,
    /// because code that stops the program creates its own.
    pub(crate) const fn new(fpgaio: usize, bit: u32) -> Self {
        Self { leds: Register::new(fpgaio), mask: 1 << bit }
    }
}

impl ErrorType for Led {
    type Error = Infallible;
}

impl OutputPin for Led {
    fn set_low(&mut self) -> Result<(), Infallible> {
        // The LEDs share a register, and an interrupt handler may use another one.
        critical_section::with(|_| self.leds.write(self.leds.read() & !self.mask));
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        critical_section::with(|_| self.leds.write(self.leds.read() | self.mask));
        Ok(())
    }
}

/// Reads COUNTER. Its prescaler is 0 after the start, so it counts every cycle of the board's
/// clock.
pub(crate) fn counter(fpgaio: usize) -> u32 {
    Register::new(fpgaio + 0x18).read()
}
