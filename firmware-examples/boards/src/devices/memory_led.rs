//! LEDs for a board without LEDs: bits of a word that a debugger can read.

use core::convert::Infallible;
use core::sync::atomic::{AtomicU32, Ordering};

use embedded_hal::digital::{ErrorType, OutputPin};

static LEDS: AtomicU32 = AtomicU32::new(0);

/// A bit that is set while its pin is high.
#[derive(Debug)]
pub struct Led {
    mask: u32,
}

impl Led {
    pub(crate) const fn new(bit: u32) -> Self {
        Self { mask: 1 << bit }
    }
}

impl ErrorType for Led {
    type Error = Infallible;
}

impl OutputPin for Led {
    fn set_low(&mut self) -> Result<(), Infallible> {
        LEDS.fetch_and(!self.mask, Ordering::Relaxed);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        LEDS.fetch_or(self.mask, Ordering::Relaxed);
        Ok(())
    }
}
