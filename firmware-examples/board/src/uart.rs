//! UART 0: the CMSDK's APB UART, which holds one byte each way.

use core::fmt;

use embedded_io::{ErrorKind, ErrorType, Read, ReadReady, Write};

use crate::register::Register;

const DATA: Register = Register::new(0x4000_4000);
const STATE: Register = Register::new(0x4000_4004);
const CONTROL: Register = Register::new(0x4000_4008);
const BAUD_DIVISOR: Register = Register::new(0x4000_4010);

/// Bits of STATE. The overrun bit is cleared by writing it.
const TRANSMIT_FULL: u32 = 1;
const RECEIVE_FULL: u32 = 1 << 1;
const RECEIVE_OVERRUN: u32 = 1 << 3;

/// Bits of CONTROL.
const TRANSMIT_ENABLE: u32 = 1;
const RECEIVE_ENABLE: u32 = 1 << 1;

const BAUD: u32 = 115_200;

/// UART 0. Its receiver holds a single byte: whoever reads too late loses one and is told so.
#[derive(Debug)]
pub struct Uart(());

impl Uart {
    /// Enables both directions. Starting it twice does no harm; the fault handlers do.
    pub(crate) fn start() -> Self {
        BAUD_DIVISOR.write(crate::TICKS_PER_SECOND / BAUD);
        CONTROL.write(TRANSMIT_ENABLE | RECEIVE_ENABLE);
        Self(())
    }

    /// The next byte if one has arrived, without waiting.
    ///
    /// # Errors
    /// When bytes were lost before this one; the next call continues.
    pub fn try_read(&mut self) -> Result<Option<u8>, UartError> {
        let state = STATE.read();
        if state & RECEIVE_OVERRUN != 0 {
            STATE.write(RECEIVE_OVERRUN);
            return Err(UartError::Overrun);
        }
        // The byte is the register's lowest.
        Ok((state & RECEIVE_FULL != 0).then(|| DATA.read() as u8))
    }
}

impl ErrorType for Uart {
    type Error = UartError;
}

impl ReadReady for Uart {
    fn read_ready(&mut self) -> Result<bool, UartError> {
        Ok(STATE.read() & (RECEIVE_FULL | RECEIVE_OVERRUN) != 0)
    }
}

impl Read for Uart {
    /// Waits for one byte: the receiver holds no more.
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
            DATA.write(u32::from(*byte));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), UartError> {
        while STATE.read() & TRANSMIT_FULL != 0 {}
        Ok(())
    }
}

/// What a UART can report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UartError {
    /// Bytes arrived before the ones before them were read, and are lost.
    Overrun,
}

impl fmt::Display for UartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overrun => f.write_str("UART overrun: bytes were lost"),
        }
    }
}

impl core::error::Error for UartError {}

impl embedded_io::Error for UartError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Overrun => ErrorKind::Other,
        }
    }
}
