//! Receives a new model over UART 0, verifies its signature, tests it, and uses it on trial. See
//! README.md for the lines.
//!
//! LED 0 is lit while a line can be sent. LED 1 is lit if the last line could not be read. If only
//! LED 1 is lit, the program has stopped and has reported the reason over the UART.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

use board::memory::{self, Arena};
use board::{Board, Led, Uart};
use electra_signature::PublicKey;
use embedded_io::Write;
use model_update::answer::Answer;
use model_update::device::Device;
use session::{Session, Stop};

/// Bytes of the arena. A model that needs more is refused with an error that names the size.
const ARENA_BYTES: usize = 64 * 1024;

// SAFETY: `memory.x` has a section of this name, and nothing else lies in it.
#[allow(unsafe_code)]
#[unsafe(link_section = ".arena")]
static ARENA: Arena<ARENA_BYTES> = Arena::new();

#[board::entry]
fn main() -> ! {
    // Nothing has taken the board before.
    let Some(Board { uart, led0, led1, mut watchdog }) = Board::take() else { unreachable!() };
    let mut session = Session::new(uart, led0, led1, || watchdog.feed());
    let result = serve(&mut session);
    let status = session.end(result);
    board::exit(status)
}

/// Why the session with a device ended.
enum Left {
    Restart,
}

/// Starts the device again and again, until the session ends.
fn serve(session: &mut Session<Uart, Led, impl FnMut()>) -> Result<(), Stop> {
    // The build script has parsed the same text.
    let key = PublicKey::parse(env!("KEY")).map_err(|_| Stop::Setting("public key"))?;
    let (flash, arena) = (memory::writable(), ARENA.take());
    loop {
        // A restart is what a reset of the board would be: only the flash keeps its content.
        let mut device = Device::start(&mut *flash, &mut *arena, key, board::ticks)
            .map_err(|_| Stop::Setting("layout of the flash"))?;
        defmt::info!("started");
        session.say(format_args!(
            "ready: {}, {} ticks per second, {}",
            board::NAME,
            board::TICKS_PER_SECOND,
            device.status()
        ));
        match session.serve(|line, uart| answer(&mut device, line, uart), || Ok(())) {
            Ok(()) => return Ok(()),
            Err(Left::Restart) => {}
        }
    }
}

fn answer(device: &mut Device<'_>, line: &str, uart: &mut Uart) -> Result<(), Left> {
    // An error of the UART cannot be reported anywhere.
    let _ = match device.obey(line) {
        Ok(Answer::Restart) => return Err(Left::Restart),
        Ok(answer @ Answer::Status(_)) => {
            let (most, size) = (board::stack::high_water(), board::stack::size());
            uart.write_fmt(format_args!("{answer}, stack={most}/{size}"))
        }
        Ok(answer) => uart.write_fmt(format_args!("{answer}")),
        Err(refusal) => uart.write_fmt(format_args!("refused: {refusal}")),
    };
    Ok(())
}
