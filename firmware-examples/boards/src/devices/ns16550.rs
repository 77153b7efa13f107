//! The 16550 UART, with its queues disabled.

use embedded_io::{ErrorType, Read, ReadReady, Write};

use super::UartError;
use crate::register::ByteRegister;

/// Bits of the line control register: eight data bits per byte; access to the divisor instead of
/// the data.
const EIGHT_BITS: u8 = 3;
const DIVISOR: u8 = 1 << 7;

/// Bits of the line status register. Reading the register clears the overrun bit.
const RECEIVED: u8 = 1;
const OVERRUN: u8 = 1 << 1;
const TRANSMIT_EMPTY: u8 = 1 << 5;

const BAUD: u32 = 115_200;

/// A UART. Its receiver holds one byte. If the byte is not read in time, it is lost, and reading
/// reports an overrun.
#[derive(Debug)]
pub struct Uart {
    data: ByteRegister,
    line_status: ByteRegister,
    /// Whether an overrun was seen but not yet reported.
    overrun: bool,
}

impl Uart {
    /// Sets up the UART at `base`, whose clock has `clock` Hz. It may be started twice; the trap
    /// handler does so.
    pub(crate) fn start(base: usize, clock: u32) -> Self {
        let [data, interrupt_enable, line_control, line_status] =
            [0, 1, 3, 5].map(|at| ByteRegister::new(base + at));
        let [low, high, ..] = (clock / 16 / BAUD).to_le_bytes();
        interrupt_enable.write(0);
        line_control.write(DIVISOR);
        data.write(low);
        interrupt_enable.write(high);
        line_control.write(EIGHT_BITS);
        Self { data, line_status, overrun: false }
    }

    fn status(&mut self) -> u8 {
        let status = self.line_status.read();
        self.overrun |= status & OVERRUN != 0;
        status
    }

    /// Returns the next byte, or `None` if none has arrived. Does not wait.
    fn try_read(&mut self) -> Result<Option<u8>, UartError> {
        let status = self.status();
        if core::mem::take(&mut self.overrun) {
            return Err(UartError::Overrun);
        }
        Ok((status & RECEIVED != 0).then(|| self.data.read()))
    }
}

impl ErrorType for Uart {
    type Error = UartError;
}

impl ReadReady for Uart {
    fn read_ready(&mut self) -> Result<bool, UartError> {
        Ok(self.status() & RECEIVED != 0 || self.overrun)
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
            self.data.write(*byte);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), UartError> {
        while self.status() & TRANSMIT_EMPTY == 0 {}
        Ok(())
    }
}
