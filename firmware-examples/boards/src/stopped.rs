//! The end of a program: a message where it cannot go on, its state shown by the LEDs, an exit status.

use core::fmt;
use core::panic::PanicInfo;

use embedded_hal::digital::OutputPin;
use embedded_io::Write;

use crate::{Led, board};

/// Exit status after a panic, that of a Rust program on a host.
const PANIC: i32 = 101;
/// Exit status after a fault.
pub(crate) const FAULT: i32 = 102;
/// Exit status after the watchdog was not fed.
pub(crate) const HANG: i32 = 103;

/// Ends the program: with this exit status by semihosting, or, built as `standalone`, by waiting for a reset.
pub fn exit(status: i32) -> ! {
    board::watchdog().stop();
    if cfg!(feature = "standalone") {
        loop {
            core::hint::spin_loop();
        }
    }
    semihosting::process::exit(status)
}

/// Says why the program stopped and ends it. The devices are set up anew: whoever had them may have been interrupted, and
/// the log is left alone, which may be what failed.
pub(crate) fn stop(why: fmt::Arguments<'_>, status: i32) -> ! {
    light(&mut board::led(0), false);
    light(&mut board::led(1), true);
    // What fails here has nowhere left to be said.
    let _ = board::uart().write_fmt(format_args!("stopped: {why}\r\n"));
    exit(status)
}

pub(crate) fn light(led: &mut Led, lit: bool) {
    let (Ok(()) | Err(_)) = led.set_state(lit.into());
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    stop(format_args!("{info}"), PANIC)
}
