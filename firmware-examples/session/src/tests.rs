extern crate std;
use std::cell::Cell;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::string::String;
use std::{format, vec::Vec};

use embedded_io::{ErrorKind, ErrorType};

use super::*;

/// A UART that receives these bytes; `None` is an overrun.
struct Script {
    arriving: VecDeque<Option<u8>>,
    sent: Vec<u8>,
}

impl Script {
    fn new(arriving: &[Option<&str>]) -> Self {
        let mut bytes = VecDeque::new();
        for part in arriving {
            match part {
                Some(text) => bytes.extend(text.bytes().map(Some)),
                None => bytes.push_back(None),
            }
        }
        Self { arriving: bytes, sent: Vec::new() }
    }
}

impl ErrorType for Script {
    type Error = ErrorKind;
}

impl ReadReady for Script {
    fn read_ready(&mut self) -> Result<bool, ErrorKind> {
        Ok(true)
    }
}

impl Read for Script {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        match self.arriving.pop_front() {
            Some(Some(byte)) => {
                buffer[0] = byte;
                Ok(1)
            }
            Some(None) => Err(ErrorKind::Other),
            None => Ok(0),
        }
    }
}

impl Write for Script {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        self.sent.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

struct Lamp<'a>(&'a Cell<bool>);

impl embedded_hal::digital::ErrorType for Lamp<'_> {
    type Error = Infallible;
}

impl OutputPin for Lamp<'_> {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.0.set(false);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.0.set(true);
        Ok(())
    }
}

/// Runs a session that echoes lines and stops at "stop". Returns its output, the state of its LEDs
/// and its status at the end, and how often the watchdog was fed.
fn play(arriving: &[Option<&str>]) -> (String, (bool, bool), i32, usize) {
    let (ready, refused) = (Cell::new(false), Cell::new(false));
    let mut fed = 0;
    let mut session = Session::new(Script::new(arriving), Lamp(&ready), Lamp(&refused), || fed += 1);
    let result = session.serve(
        |line, uart| {
            assert!(!ready.get(), "ready within an answer");
            if line == "stop" {
                return Err(Stop::Head("head"));
            }
            let _ = uart.write_fmt(format_args!("<{line}>"));
            Ok(())
        },
        || Ok(()),
    );
    let status = session.end(result);
    let said = String::from_utf8(core::mem::take(&mut session.uart.sent)).unwrap();
    drop(session);
    (said, (ready.get(), refused.get()), status, fed)
}

#[test]
fn an_overrun_refuses_its_line_and_the_next_one_clears_the_state() {
    let (said, leds, status, _) = play(&[Some("it was n"), None, Some(" good\n")]);
    assert_eq!(said, "refused: line: UART overrun, bytes were lost\r\n");
    assert_eq!((leds, status), ((true, true), 0));
    let (said, leds, ..) = play(&[None, Some("a\nb\n")]);
    assert_eq!(said, "refused: line: UART overrun, bytes were lost\r\n<b>\r\n");
    assert_eq!(leds, (true, false));
}

#[test]
fn the_reason_for_the_end_of_a_session_is_reported() {
    let (said, leds, status, _) = play(&[Some("a\nstop\nb\n")]);
    assert_eq!(said, "<a>\r\nstopped: model: no head\r\n");
    assert_eq!((leds, status), ((false, true), 2));
}

#[test]
fn the_watchdog_is_fed_with_every_byte() {
    let text = format!("{}\n\u{4}", "x".repeat(40));
    assert_eq!(play(&[Some(&text)]).3, 42);
}
