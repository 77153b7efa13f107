//! FPGAIO of Arm's MPS2 and MPS3 boards: LEDs and a counter.

use core::convert::Infallible;

use embedded_hal::digital::{ErrorType, OutputPin};

use crate::register::Register;

/// A user LED, lit while high.
#[derive(Debug)]
pub struct Led {
    /// A bit a LED, 1 lights it.
    leds: Register,
    mask: u32,
}

impl Led {
    /// The LED of this bit, as it was left: whoever stops the program makes its own.
    pub(crate) const fn new(fpgaio: usize, bit: u32) -> Self {
        Self { leds: Register::new(fpgaio), mask: 1 << bit }
    }
}

impl ErrorType for Led {
    type Error = Infallible;
}

impl OutputPin for Led {
    fn set_low(&mut self) -> Result<(), Infallible> {
        // The LEDs share a register, and an interrupt may own the other one.
        critical_section::with(|_| self.leds.write(self.leds.read() & !self.mask));
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        critical_section::with(|_| self.leds.write(self.leds.read() | self.mask));
        Ok(())
    }
}

/// COUNTER, which a prescaler of 0, that of the start, lets count every cycle of the board's clock.
pub(crate) fn counter(fpgaio: usize) -> u32 {
    Register::new(fpgaio + 0x18).read()
}
