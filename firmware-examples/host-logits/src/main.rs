//! `host-logits MODEL < LINES`: what the firmware must answer to each line, computed on this machine.
//!
//! Lines are those of `sentiment-uart`; each is computed by every kernel set that this processor has, and different
//! bits among them are an error. Softmax and formatting are the standard library's, not the firmware's.
#![forbid(unsafe_code)]

use std::error::Error;
use std::io::{BufRead, stdin};
use std::{env, fs};

use electra_core::tokenizer::Tokenizer;
use electra_core::{ARENA_ALIGNMENT, Engine, Kernels, Model, arena_bytes};

/// As in `sentiment-uart`.
const MAX_TOKENS: usize = 64;

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args().nth(1).ok_or("usage: host-logits MODEL < LINES")?;
    let file = fs::read(&path)?;
    let model = Model::open(&file).map_err(|error| format!("{path}: {error}"))?;
    let bytes = arena_bytes(model.config(), MAX_TOKENS);
    eprintln!("arena: {bytes} bytes for {MAX_TOKENS} tokens");
    for line in stdin().lock().lines() {
        let line = line?;
        if !line.is_empty() {
            answer(&model, &line, bytes)?;
        }
    }
    Ok(())
}

fn answer(model: &Model<'_>, line: &str, arena_bytes: usize) -> Result<(), Box<dyn Error>> {
    let (text, detailed) = line.strip_prefix('?').map_or((line, false), |text| (text, true));
    let mut ids = [0; MAX_TOKENS];
    let encoding = Tokenizer::new(*model.vocabulary()).encode(text, &mut ids)?;
    let mut block = vec![0; arena_bytes + ARENA_ALIGNMENT];
    let skipped = block.as_ptr().align_offset(ARENA_ALIGNMENT);
    let mut expected: Option<Vec<f32>> = None;
    for kernels in Kernels::all() {
        let arena = block.get_mut(skipped..skipped + arena_bytes).ok_or("arena: cannot be aligned")?;
        let mut engine = Engine::new(model, kernels, arena, MAX_TOKENS)?;
        let logits = engine.run(&ids[..encoding.len])?;
        let bits = |logits: &[f32]| logits.iter().map(|logit| logit.to_bits()).collect::<Vec<_>>();
        match &expected {
            Some(expected) if bits(expected) != bits(logits) => {
                return Err(
                    format!("kernels {}: other bits than the first set's: {line}", kernels.name()).into()
                );
            }
            _ => expected = Some(logits.to_vec()),
        }
    }
    let logits = expected.ok_or("kernels: none on this processor")?;
    let (best, greatest) = (0..logits.len())
        .map(|index| (index, logits[index]))
        .fold((0, f32::NEG_INFINITY), |best, next| if next.1 > best.1 { next } else { best });
    let sum: f64 = logits.iter().map(|logit| (f64::from(*logit) - f64::from(greatest)).exp()).sum();
    let label = model.labels().nth(best).ok_or("labels: fewer than logits")?;
    let truncated = if encoding.truncated { format!(" (first {MAX_TOKENS} tokens)") } else { String::new() };
    let details = if detailed {
        let bits: Vec<String> = logits.iter().map(|logit| format!("{:08x}", logit.to_bits())).collect();
        let macs = model.config().macs(encoding.len);
        format!(" logits={} tokens={} macs={macs}", bits.join(","), encoding.len)
    } else {
        String::new()
    };
    println!("{label} {:.4}{truncated}{details}", 1.0 / sum);
    Ok(())
}
