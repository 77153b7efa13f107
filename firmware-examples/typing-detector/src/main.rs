//! Reads lines of text from UART 0. Answers each with `N suspicious: ` and the line, in which words
//! that seem to be replaced are in brackets. ELECTRA is pre-trained to find replaced words, and
//! typing errors often look like them.
//!
//! The answer to a line that starts with `?` also has the bits of the logits of all tokens,
//! including `[CLS]` and `[SEP]`, the number of tokens, the clock ticks of the run, and the most
//! bytes of stack used so far. Ctrl-D ends the session. The LEDs are as in `sentiment-uart`.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

use board::memory::{self, Arena};
use board::{Board, Led, Uart};
use electra_core::tokenizer::Tokenizer;
use electra_core::{Engine, HeadKind, Kernels, Model};
use embedded_io::Write;
use session::{Session, Stop};
use typing_detector::Marked;

/// Longest sequence in tokens, including `[CLS]` and `[SEP]`. Longer lines are truncated.
const MAX_TOKENS: usize = 64;

/// Bytes of the arena: `electra_core::arena_bytes` of ELECTRA-Small for [`MAX_TOKENS`] tokens.
/// Smaller models use less. If a model needs more, creating the engine fails with an error that
/// names the size.
const ARENA_BYTES: usize = 161_664;

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
    if model.config().head != HeadKind::ReplacedTokenDetection {
        return Err(Stop::Head("head for replaced-token detection"));
    }
    let kernels = Kernels::detect();
    let max_tokens = MAX_TOKENS.min(model.config().max_position_embeddings);
    let engine = Engine::new(&model, kernels, ARENA.take(), max_tokens).map_err(Stop::Run)?;
    let mut detector = Detector { tokenizer: Tokenizer::new(*model.vocabulary()), engine, max_tokens };
    defmt::info!("ready: model {=u32:08x}, kernels {=str}", model.fingerprint(), kernels.name());
    session.say(format_args!(
        "ready: {}, {} ticks per second, model {:08x}, kernels {}, arena {ARENA_BYTES} bytes, at most {max_tokens} tokens",
        board::NAME,
        board::TICKS_PER_SECOND,
        model.fingerprint(),
        kernels.name(),
    ));
    session.serve(|line, uart| detector.answer(line, uart), || Ok(()))
}

struct Detector<'a, 'm> {
    tokenizer: Tokenizer<'m>,
    engine: Engine<'a, 'm>,
    max_tokens: usize,
}

impl Detector<'_, '_> {
    fn answer(&mut self, line: &str, uart: &mut Uart) -> Result<(), Stop> {
        let (text, detailed) = match line.strip_prefix('?') {
            Some(text) => (text, true),
            None => (line, false),
        };
        let mut ids = [0; MAX_TOKENS];
        let ids = &mut ids[..self.max_tokens];
        // A line is far shorter than 4 GiB, the length that the tokenizer refuses.
        let (Ok(encoding), Ok(pieces)) = (self.tokenizer.encode(text, ids), self.tokenizer.pieces(text))
        else {
            return Ok(());
        };
        let before = board::ticks();
        let logits = self.engine.run(&ids[..encoding.len]).map_err(Stop::Run)?;
        let ticks = board::ticks().wrapping_sub(before);
        let [_cls, of_pieces @ .., _sep] = logits else { return Err(Stop::Logits) };
        let marked = Marked::new(text, pieces.zip(of_pieces.iter().copied()));
        let count = marked.count();
        defmt::info!("{=usize} tokens, {=u32} suspicious words, {=u32} ticks", encoding.len, count, ticks);
        // An error here cannot be reported anywhere.
        let _ = uart.write_fmt(format_args!("{count} suspicious: {marked}"));
        if encoding.truncated {
            let _ = uart.write_fmt(format_args!(" (first {} tokens)", self.max_tokens));
        }
        if detailed {
            for (index, logit) in logits.iter().enumerate() {
                let before = if index == 0 { " logits=" } else { "," };
                let _ = uart.write_fmt(format_args!("{before}{:08x}", logit.to_bits()));
            }
            let (tokens, most, size) = (encoding.len, board::stack::high_water(), board::stack::size());
            let _ = uart.write_fmt(format_args!(" tokens={tokens} ticks={ticks} stack={most}/{size}"));
        }
        Ok(())
    }
}
