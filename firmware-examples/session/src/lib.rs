//! What the examples share that needs no board: lines in over a UART, answers out, two LEDs that show the state, a
//! watchdog that is fed while there is progress.
#![no_std]
#![forbid(unsafe_code)]

pub mod line;
mod stop;

use embedded_hal::digital::OutputPin;
use embedded_io::{Read, ReadReady, Write};

use line::{Input, LineBuffer};
pub use stop::Stop;

/// A UART and two LEDs, one lit while a line can be sent, the other while the last line was refused.
pub struct Session<U, L, F> {
    uart: U,
    ready: L,
    refused: L,
    feed: F,
}

impl<U: Read + ReadReady + Write, L: OutputPin, F: FnMut()> Session<U, L, F> {
    /// `feed` tells the watchdog that there is progress.
    pub fn new(uart: U, ready: L, refused: L, feed: F) -> Self {
        Self { uart, ready, refused, feed }
    }

    /// Answers lines until Ctrl-D. What `answer` writes to the UART is its answer, without the line's end.
    ///
    /// The watchdog is fed with each byte and while the session waits for one, which can last: what it catches is an
    /// answer that does not end.
    ///
    /// # Errors
    /// What `answer` says.
    pub fn serve(&mut self, mut answer: impl FnMut(&str, &mut U) -> Result<(), Stop>) -> Result<(), Stop> {
        let mut buffer = LineBuffer::new();
        light(&mut self.ready, true);
        loop {
            match Self::next(&mut self.uart, &mut buffer, &mut self.feed) {
                None => {}
                Some(Input::End) => return Ok(()),
                Some(Input::Refused(error)) => {
                    #[cfg(target_os = "none")]
                    defmt::warn!("a line refused");
                    light(&mut self.refused, true);
                    self.say(format_args!("refused: {error}"));
                }
                Some(Input::Line(line)) => {
                    light(&mut self.ready, false);
                    light(&mut self.refused, false);
                    answer(line, &mut self.uart)?;
                    self.say(format_args!(""));
                    light(&mut self.ready, true);
                }
            }
        }
    }

    /// What the next byte amounts to.
    fn next<'b>(uart: &mut U, buffer: &'b mut LineBuffer, feed: &mut F) -> Option<Input<'b>> {
        feed();
        match uart.read_ready() {
            Ok(false) => return None,
            Ok(true) => {}
            Err(_) => {
                buffer.lose();
                return None;
            }
        }
        let mut byte = [0];
        match uart.read(&mut byte) {
            Ok(0) => Some(Input::End),
            Ok(_) => buffer.push(byte[0]),
            Err(_) => {
                buffer.lose();
                None
            }
        }
    }

    /// Writes a line. A UART that fails has nowhere to say so.
    pub fn say(&mut self, line: core::fmt::Arguments<'_>) {
        let _ = self.uart.write_fmt(format_args!("{line}\r\n"));
    }

    /// Says and shows how the session ended, and returns the program's exit status.
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

/// An LED that fails has nowhere to say so.
fn light(led: &mut impl OutputPin, lit: bool) {
    let (Ok(()) | Err(_)) = led.set_state(lit.into());
}

#[cfg(test)]
mod tests;
