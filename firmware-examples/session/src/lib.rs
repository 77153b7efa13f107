//! The parts of the examples that need no board: a UART receives lines and sends answers, two LEDs
//! show the state, and a watchdog is fed while there is progress.
#![no_std]
#![forbid(unsafe_code)]

pub mod line;
mod stop;
pub mod verdict;

use embedded_hal::digital::OutputPin;
use embedded_io::{Read, ReadReady, Write};

use line::{Input, LineBuffer};
pub use stop::Stop;

/// A UART and two LEDs. One LED is lit while a line can be sent, the other if the last line was
/// refused.
pub struct Session<U, L, F> {
    uart: U,
    ready: L,
    refused: L,
    feed: F,
}

impl<U: Read + ReadReady + Write, L: OutputPin, F: FnMut()> Session<U, L, F> {
    /// Returns a session. `feed` feeds the watchdog.
    pub fn new(uart: U, ready: L, refused: L, feed: F) -> Self {
        Self { uart, ready, refused, feed }
    }

    /// Answers lines until Ctrl-D. `answer` writes the answer to the UART, without the end of the
    /// line.
    ///
    /// The watchdog is fed with each byte, and while the session waits for a byte, which can take
    /// long. It therefore expires only if an answer does not end.
    ///
    /// `idle` is called while no byte has arrived. A UART without a buffer loses bytes if a call
    /// takes longer than a byte does.
    ///
    /// # Errors
    /// The error of `answer` or `idle`.
    pub fn serve<E>(
        &mut self,
        mut answer: impl FnMut(&str, &mut U) -> Result<(), E>,
        mut idle: impl FnMut() -> Result<(), E>,
    ) -> Result<(), E> {
        let mut buffer = LineBuffer::new();
        light(&mut self.ready, true);
        loop {
            match Self::next(&mut self.uart, &mut buffer, &mut self.feed) {
                Next::Nothing => idle()?,
                Next::Incomplete => {}
                Next::Input(Input::End) => return Ok(()),
                Next::Input(Input::Refused(error)) => {
                    #[cfg(target_os = "none")]
                    defmt::warn!("a line refused");
                    light(&mut self.refused, true);
                    self.say(format_args!("refused: {error}"));
                }
                Next::Input(Input::Line(line)) => {
                    light(&mut self.ready, false);
                    light(&mut self.refused, false);
                    answer(line, &mut self.uart)?;
                    self.say(format_args!(""));
                    light(&mut self.ready, true);
                }
            }
        }
    }

    /// Reads the next byte if one has arrived.
    fn next<'b>(uart: &mut U, buffer: &'b mut LineBuffer, feed: &mut F) -> Next<'b> {
        feed();
        match uart.read_ready() {
            Ok(false) => return Next::Nothing,
            Ok(true) => {}
            Err(_) => {
                buffer.lose();
                return Next::Incomplete;
            }
        }
        let mut byte = [0];
        let input = match uart.read(&mut byte) {
            Ok(0) => Some(Input::End),
            Ok(_) => buffer.push(byte[0]),
            Err(_) => {
                buffer.lose();
                None
            }
        };
        input.map_or(Next::Incomplete, Next::Input)
    }

    /// Writes a line. An error of the UART cannot be reported anywhere.
    pub fn say(&mut self, line: core::fmt::Arguments<'_>) {
        let _ = self.uart.write_fmt(format_args!("{line}\r\n"));
    }

    /// Reports how the session ended, over the UART and with the LEDs. Returns the program's exit
    /// status.
    pub fn end(&mut self, result: Result<(), Stop>) -> i32 {
        match result {
            Ok(()) => 0,
            Err(stop) => {
                #[cfg(target_os = "none")]
                defmt::error!("stopped with status {=i32}", stop.status());
                light(&mut self.ready, false);
                light(&mut self.refused, true);
                self.say(format_args!("stopped: {stop}"));
                stop.status()
            }
        }
    }
}

/// Result of a look at the UART.
enum Next<'b> {
    /// No byte has arrived.
    Nothing,
    /// A byte has arrived or was lost. It completes no input.
    Incomplete,
    /// A byte has arrived that completes this input.
    Input(Input<'b>),
}

/// Switches an LED. An error of an LED cannot be reported anywhere.
fn light(led: &mut impl OutputPin, lit: bool) {
    let (Ok(()) | Err(_)) = led.set_state(lit.into());
}

#[cfg(test)]
mod tests;
