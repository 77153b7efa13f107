//! Lines of text come in over UART 0, one line `LABEL score` goes out for each.
//!
//! A line that starts with `?` is answered in detail: the logits' bits, tokens, clock ticks of the run, and the most
//! stack used so far. Ctrl-D ends the session.
//!
//! LED 0 is lit while a line can be sent, LED 1 while the last line was refused; LED 1 alone means stopped, and the
//! UART said why.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

#[allow(unsafe_code)]
mod memory;
#[cfg(feature = "provoke")]
#[allow(unsafe_code)]
mod provoke;

use core::fmt;

use board::{Board, Led};
use electra_core::tokenizer::Tokenizer;
use electra_core::{Engine, HeadKind, Kernels, Model, ModelError, RunError};
use embedded_hal::digital::OutputPin;
use embedded_io::{Read, Write};
use sentiment_uart::line::{Input, LineBuffer};
use sentiment_uart::verdict::Verdict;

/// Longest sequence, `[CLS]` and `[SEP]` included; of longer lines the first tokens are used.
const MAX_TOKENS: usize = 64;

#[cortex_m_rt::entry]
fn main() -> ! {
    board::stack::start();
    let status = match Board::take() {
        Some(mut board) => match serve(&mut board) {
            Ok(()) => 0,
            Err(stop) => {
                light(&mut board.led0, false);
                light(&mut board.led1, true);
                say(&mut board, format_args!("stopped: {stop}"));
                stop.status()
            }
        },
        // Nothing before this takes the board.
        None => unreachable!("the board was taken before main"),
    };
    board::exit(status)
}

/// Answers lines until the session ends.
fn serve(board: &mut Board) -> Result<(), Stop> {
    let model = Model::open(memory::model()).map_err(Stop::Model)?;
    if model.config().head != HeadKind::Classification || model.config().num_labels < 2 {
        return Err(Stop::Head);
    }
    let arena = memory::arena().unwrap_or_default();
    let kernels = Kernels::detect();
    let engine = Engine::new(&model, kernels, arena, MAX_TOKENS).map_err(Stop::Run)?;
    let mut classifier = Classifier { tokenizer: Tokenizer::new(*model.vocabulary()), model: &model, engine };
    say(
        board,
        format_args!(
            "ready: model {:08x}, kernels {}, arena {} bytes, at most {MAX_TOKENS} tokens",
            model.fingerprint(),
            kernels.name(),
            memory::ARENA_BYTES,
        ),
    );
    let mut buffer = LineBuffer::new();
    light(&mut board.led0, true);
    loop {
        let mut byte = [0];
        let input = match board.uart.read(&mut byte) {
            Ok(_) => buffer.push(byte[0]),
            Err(_) => {
                buffer.lose();
                None
            }
        };
        match input {
            None => {}
            Some(Input::End) => return Ok(()),
            Some(Input::Refused(error)) => {
                light(&mut board.led1, true);
                say(board, format_args!("refused: {error}"));
            }
            Some(Input::Line(line)) => {
                light(&mut board.led0, false);
                light(&mut board.led1, false);
                #[cfg(feature = "provoke")]
                provoke::provoke(line);
                classifier.answer(board, line)?;
                light(&mut board.led0, true);
            }
        }
    }
}

struct Classifier<'a, 'm> {
    model: &'a Model<'m>,
    tokenizer: Tokenizer<'m>,
    engine: Engine<'a, 'm>,
}

impl Classifier<'_, '_> {
    fn answer(&mut self, board: &mut Board, line: &str) -> Result<(), Stop> {
        let (text, detailed) = match line.strip_prefix('?') {
            Some(text) => (text, true),
            None => (line, false),
        };
        let mut ids = [0; MAX_TOKENS];
        // A line is far shorter than the 4 GiB that the tokenizer refuses.
        let Ok(encoding) = self.tokenizer.encode(text, &mut ids) else { return Ok(()) };
        let before = board::ticks();
        let logits = self.engine.run(&ids[..encoding.len]).map_err(Stop::Run)?;
        let ticks = board::ticks().wrapping_sub(before);
        let verdict = Verdict::new(logits).ok_or(Stop::Logits)?;
        let label = self.model.labels().nth(verdict.label).ok_or(Stop::Logits)?;
        let answer = Answer {
            label,
            verdict,
            truncated: encoding.truncated,
            logits: if detailed { logits } else { &[] },
            tokens: encoding.len,
        };
        match detailed {
            false => say(board, format_args!("{answer}")),
            true => {
                let stack = board::stack::high_water();
                say(board, format_args!("{answer} ticks={ticks} stack={stack}/{}", board::stack::size()));
            }
        }
        Ok(())
    }
}

struct Answer<'a> {
    label: &'a str,
    verdict: Verdict,
    truncated: bool,
    /// Empty where they were not asked for.
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

/// Why the program cannot go on.
enum Stop {
    /// The model in memory cannot be used.
    Model(ModelError),
    /// The model classifies nothing.
    Head,
    /// The arena is too small, or the model changed under the engine.
    Run(RunError),
    /// Logits without a verdict.
    Logits,
}

impl Stop {
    /// Exit status: 2 for the model, 3 for a run.
    fn status(&self) -> i32 {
        match self {
            Self::Model(_) | Self::Head => 2,
            Self::Run(_) | Self::Logits => 3,
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Model(error) => write!(f, "model: {error}"),
            Self::Head => f.write_str("model: no classification head with two labels or more"),
            Self::Run(error) => write!(f, "{error}"),
            Self::Logits => f.write_str("logits: not finite, or not as many as labels"),
        }
    }
}

fn light(led: &mut Led, lit: bool) {
    let (Ok(()) | Err(_)) = led.set_state(lit.into());
}

/// Writes a line. A UART that fails has nowhere to say so.
fn say(board: &mut Board, line: fmt::Arguments<'_>) {
    let _ = board.uart.write_fmt(format_args!("{line}\r\n"));
}
