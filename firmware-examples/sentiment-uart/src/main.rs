//! Reads lines of text from UART 0 and answers each with a line `LABEL score`, or `UNSURE score` if
//! the score is below the label's threshold in the model file.
//!
//! The answer to a line that starts with `?` also has the bits of the logits, the number of tokens,
//! the clock ticks of the run, and the most bytes of stack used so far. Ctrl-D ends the session.
//!
//! LED 0 is lit while a line can be sent. LED 1 is lit if the last line was refused. If only LED 1
//! is lit, the program has stopped and has reported the reason over the UART.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

use core::fmt;

use board::memory::{self, Arena};
use board::{Board, Led, Uart};
use electra_core::model::Scrub;
use electra_core::tokenizer::Tokenizer;
use electra_core::{Engine, HeadKind, Kernels, Model};
use embedded_io::Write;
use session::verdict::Verdict;
use session::{Session, Stop};

/// Longest sequence in tokens, including `[CLS]` and `[SEP]`. Longer lines are truncated.
const MAX_TOKENS: usize = 64;

/// Bytes of the arena: `electra_core::arena_bytes` of ELECTRA-Small for [`MAX_TOKENS`] tokens. If a
/// model needs more, creating the engine fails with an error that names the size.
const ARENA_BYTES: usize = if cfg!(feature = "small-arena") { 100_000 } else { 161_472 };

/// Bytes of the model that are checked at a time while no byte arrives. This takes less time than a
/// byte at 115,200 bits per second.
const SCRUB_BYTES: usize = 64;

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

/// Answers lines until the session ends.
fn serve(session: &mut Session<Uart, Led, impl FnMut()>) -> Result<(), Stop> {
    let model = Model::open(memory::model()).map_err(Stop::Model)?;
    if model.config().head != HeadKind::Classification || model.config().num_labels < 2 {
        return Err(Stop::Head("classification head with two labels or more"));
    }
    // A bad threshold stops the program here and not at the first text with this label.
    for label in model.labels() {
        model.threshold(label).map_err(Stop::Model)?;
    }
    let kernels = Kernels::detect();
    let engine = Engine::new(&model, kernels, ARENA.take(), MAX_TOKENS).map_err(Stop::Run)?;
    let mut classifier = Classifier { tokenizer: Tokenizer::new(*model.vocabulary()), model: &model, engine };
    defmt::info!("ready: model {=u32:08x}, kernels {=str}", model.fingerprint(), kernels.name());
    session.say(format_args!(
        "ready: {}, {} ticks per second, model {:08x}, kernels {}, arena {ARENA_BYTES} bytes, at most {MAX_TOKENS} tokens",
        board::NAME,
        board::TICKS_PER_SECOND,
        model.fingerprint(),
        kernels.name(),
    ));
    let mut scrub = Scrub::new();
    session.serve(
        |line, uart| {
            #[cfg(feature = "provoke")]
            board::provoke::provoke(line);
            classifier.answer(line, uart)
        },
        // The model may rot in its memory.
        || model.scrub(&mut scrub, SCRUB_BYTES).map(drop).map_err(Stop::Model),
    )
}

struct Classifier<'a, 'm> {
    model: &'a Model<'m>,
    tokenizer: Tokenizer<'m>,
    engine: Engine<'a, 'm>,
}

impl Classifier<'_, '_> {
    fn answer(&mut self, line: &str, uart: &mut Uart) -> Result<(), Stop> {
        let (text, detailed) = match line.strip_prefix('?') {
            Some(text) => (text, true),
            None => (line, false),
        };
        let mut ids = [0; MAX_TOKENS];
        // A line is far shorter than 4 GiB, the length that the tokenizer refuses.
        let Ok(encoding) = self.tokenizer.encode(text, &mut ids) else { return Ok(()) };
        let before = board::ticks();
        let logits = self.engine.run(&ids[..encoding.len]).map_err(Stop::Run)?;
        let ticks = board::ticks().wrapping_sub(before);
        defmt::info!("{=usize} tokens, {=u32} ticks", encoding.len, ticks);
        let verdict = Verdict::new(logits).ok_or(Stop::Logits)?;
        let label = self.model.labels().nth(verdict.label).ok_or(Stop::Logits)?;
        let threshold = self.model.threshold(label).map_err(Stop::Model)?;
        let answer = Answer {
            label: verdict.answer(label, threshold),
            verdict,
            truncated: encoding.truncated,
            logits: if detailed { logits } else { &[] },
            tokens: encoding.len,
        };
        // An error here cannot be reported anywhere.
        let _ = uart.write_fmt(format_args!("{answer}"));
        if detailed {
            let (most, size) = (board::stack::high_water(), board::stack::size());
            let _ = uart.write_fmt(format_args!(" ticks={ticks} stack={most}/{size}"));
        }
        Ok(())
    }
}

struct Answer<'a> {
    label: &'a str,
    verdict: Verdict,
    truncated: bool,
    /// Empty if they were not requested.
    logits: &'a [f32],
    tokens: usize,
}

impl fmt::Display for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.label, self.verdict.score)?;
        if self.truncated {
            write!(f, " (first {MAX_TOKENS} tokens)")?;
        }
        for (index, logit) in self.logits.iter().enumerate() {
            write!(f, "{}{:08x}", if index == 0 { " logits=" } else { "," }, logit.to_bits())?;
        }
        if !self.logits.is_empty() {
            write!(f, " tokens={}", self.tokens)?;
        }
        Ok(())
    }
}
