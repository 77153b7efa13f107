//! The user LEDs.

use core::convert::Infallible;

use embedded_hal::digital::{ErrorType, OutputPin};

use crate::register::Register;

/// FPGAIO's LED0: a bit a LED, 1 lights it.
const LEDS: Register = Register::new(0x4002_8000);

/// A user LED, lit while high.
#[derive(Debug)]
pub struct Led {
    mask: u32,
}

impl Led {
    /// The LED of this bit, as it was left: the fault handlers make their own.
    pub(crate) const fn new(bit: u32) -> Self {
        Self { mask: 1 << bit }
    }
}

/// Puts out all LEDs, whose state at power-on is not defined.
pub(crate) fn all_off() {
    LEDS.write(0);
}

impl ErrorType for Led {
    type Error = Infallible;
}

impl OutputPin for Led {
    fn set_low(&mut self) -> Result<(), Infallible> {
        // The LEDs share a register, and an interrupt may own the other one.
        cortex_m::interrupt::free(|_| LEDS.write(LEDS.read() & !self.mask));
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        cortex_m::interrupt::free(|_| LEDS.write(LEDS.read() | self.mask));
        Ok(())
    }
}
