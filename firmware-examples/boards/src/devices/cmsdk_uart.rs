//! Arm's APB UART of the Cortex-M System Design Kit. It holds one byte per direction.

use embedded_io::{ErrorType, Read, ReadReady, Write};

use super::UartError;
use crate::register::Register;

/// Bits of STATE. Writing the overrun bit clears it.
const TRANSMIT_FULL: u32 = 1;
const RECEIVE_FULL: u32 = 1 << 1;
const RECEIVE_OVERRUN: u32 = 1 << 3;

/// Bits of CONTROL.
const TRANSMIT_ENABLE: u32 = 1;
const RECEIVE_ENABLE: u32 = 1 << 1;

const BAUD: u32 = 115_200;

/// A UART. Its receiver holds one byte. If the byte is not read in time, it is lost, and reading
/// reports an overrun.
#[derive(Debug)]
pub struct Uart {
    data: Register,
    state: Register,
}

impl Uart {
    /// Enables both directions of the UART at `base`, whose clock has `clock` Hz. It may be started
    /// twice; the fault handlers do so.
    pub(crate) fn start(base: usize, clock: u32) -> Self {
        let [control, baud_divisor] = [base + 8, base + 16].map(Register::new);
        baud_divisor.write(clock / BAUD);
        control.write(TRANSMIT_ENABLE | RECEIVE_ENABLE);
        Self { data: Register::new(base), state: Register::new(base + 4) }
    }

    /// Returns the next byte, or `None` if none has arrived. Does not wait.
    fn try_read(&mut self) -> Result<Option<u8>, UartError> {
        let state = self.state.read();
        if state & RECEIVE_OVERRUN != 0 {
            self.state.write(RECEIVE_OVERRUN);
            return Err(UartError::Overrun);
        }
        // The byte is in the lowest bits of the register.
        Ok((state & RECEIVE_FULL != 0).then(|| self.data.read() as u8))
    }
}

impl ErrorType for Uart {
    type Error = UartError;
}

impl ReadReady for Uart {
    fn read_ready(&mut self) -> Result<bool, UartError> {
        Ok(self.state.read() & (RECEIVE_FULL | RECEIVE_OVERRUN) != 0)
    }
}

impl Read for Uart {
    /// Waits for one byte and reads it, because the receiver holds no more.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, UartError> {
        let Some(first) = buffer.first_mut() else { return Ok(0) };
        loop {
            if let Some(byte) = self.try_read()? {
                *first = byte;
                return Ok(1);
            }
        }
    }
}

impl Write for Uart {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, UartError> {
        for byte in bytes {
            self.flush()?;
            self.data.write(u32::from(*byte));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), UartError> {
        while self.state.read() & TRANSMIT_FULL != 0 {}
        Ok(())
    }
}
