//! Ends a program: prints a message if it failed, shows its state with the LEDs, and returns an
//! exit status.

use core::fmt;
use core::panic::PanicInfo;

use embedded_hal::digital::OutputPin;
use embedded_io::Write;

use crate::{Led, board};

/// Exit status after a panic, the same as for a Rust program on a host.
const PANIC: i32 = 101;
/// Exit status after a fault.
pub(crate) const FAULT: i32 = 102;
/// Exit status after the watchdog was not fed.
pub(crate) const HANG: i32 = 103;

/// Ends the program. Returns `status` by semihosting or, in a `standalone` program, waits for a
/// reset.
pub fn exit(status: i32) -> ! {
    board::watchdog().stop();
    if cfg!(feature = "standalone") {
        loop {
            core::hint::spin_loop();
        }
    }
    semihosting::process::exit(status)
}

/// Prints why the program stopped, and ends it. The devices are set up again, because their users
/// may have been interrupted. Nothing is logged, because the log may have failed.
pub(crate) fn stop(why: fmt::Arguments<'_>, status: i32) -> ! {
    light(&mut board::led(0), false);
    light(&mut board::led(1), true);
    // An error here cannot be reported anywhere.
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
