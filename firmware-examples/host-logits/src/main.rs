//! `host-logits MODEL < LINES`: what the firmware must answer to each line, computed on this machine; `sentiment-uart`'s
//! answers for a classifier, `typing-detector`'s for a model that detects replaced tokens.
//!
//! Each line is computed by every kernel set that this processor has, and different bits among them are an error.
//! Softmax, marking of words and formatting share nothing with the firmware's.
#![forbid(unsafe_code)]

use std::error::Error;
use std::io::{BufRead, stdin};
use std::{env, fs};

use electra_core::tokenizer::Tokenizer;
use electra_core::{ARENA_ALIGNMENT, Engine, HeadKind, Kernels, Model, arena_bytes};

/// As in the examples.
const MAX_TOKENS: usize = 64;

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args().nth(1).ok_or("usage: host-logits MODEL < LINES")?;
    let file = fs::read(&path)?;
    let model = Model::open(&file).map_err(|error| format!("{path}: {error}"))?;
    for tokens in [32, MAX_TOKENS] {
        eprintln!("arena: {} bytes for {tokens} tokens", arena_bytes(model.config(), tokens));
    }
    for line in stdin().lock().lines() {
        let line = line?;
        if !line.is_empty() {
            println!("{}", answer(&model, &line)?);
        }
    }
    Ok(())
}

fn answer(model: &Model<'_>, line: &str) -> Result<String, Box<dyn Error>> {
    let (text, detailed) = line.strip_prefix('?').map_or((line, false), |text| (text, true));
    let max_tokens = MAX_TOKENS.min(model.config().max_position_embeddings);
    let tokenizer = Tokenizer::new(*model.vocabulary());
    let mut ids = vec![0; max_tokens];
    let encoding = tokenizer.encode(text, &mut ids)?;
    let logits = logits(model, &ids[..encoding.len], max_tokens)?;
    let mut answer = match model.config().head {
        HeadKind::Classification => verdict(model, &logits)?,
        HeadKind::ReplacedTokenDetection => {
            let spans = tokenizer.pieces(text)?.map(|token| (token.start as usize, token.end as usize));
            marked(text, &spans.zip(logits[1..logits.len() - 1].iter().copied()).collect::<Vec<_>>())
        }
    };
    if encoding.truncated {
        answer += &format!(" (first {max_tokens} tokens)");
    }
    if detailed {
        let bits: Vec<String> = logits.iter().map(|logit| format!("{:08x}", logit.to_bits())).collect();
        let macs = model.config().macs(encoding.len);
        answer += &format!(" logits={} tokens={} macs={macs}", bits.join(","), encoding.len);
    }
    Ok(answer)
}

/// The logits, the same bits from each kernel set.
fn logits(model: &Model<'_>, ids: &[u16], max_tokens: usize) -> Result<Vec<f32>, Box<dyn Error>> {
    let arena_bytes = arena_bytes(model.config(), max_tokens);
    let mut block = vec![0; arena_bytes + ARENA_ALIGNMENT];
    let skipped = block.as_ptr().align_offset(ARENA_ALIGNMENT);
    let mut expected: Option<Vec<f32>> = None;
    for kernels in Kernels::all() {
        let arena = block.get_mut(skipped..skipped + arena_bytes).ok_or("arena: cannot be aligned")?;
        let mut engine = Engine::new(model, kernels, arena, max_tokens)?;
        let logits = engine.run(ids)?;
        let bits = |logits: &[f32]| logits.iter().map(|logit| logit.to_bits()).collect::<Vec<_>>();
        match &expected {
            Some(expected) if bits(expected) != bits(logits) => {
                return Err(
                    format!("kernels {}: other bits than the first set's: {ids:?}", kernels.name()).into()
                );
            }
            _ => expected = Some(logits.to_vec()),
        }
    }
    expected.ok_or("kernels: none on this processor".into())
}

fn verdict(model: &Model<'_>, logits: &[f32]) -> Result<String, Box<dyn Error>> {
    let greatest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let of = |logit: &f32| (f64::from(*logit) - f64::from(greatest)).exp();
    let sum: f64 = logits.iter().map(of).sum();
    let scores: Vec<f32> = logits.iter().map(|logit| (of(logit) / sum) as f32).collect();
    // Of equal scores the first.
    let best = (0..scores.len()).rev().max_by(|a, b| scores[*a].total_cmp(&scores[*b])).unwrap_or(0);
    let label = model.labels().nth(best).ok_or("labels: fewer than logits")?;
    Ok(format!("{label} {:.4}", scores[best]))
}

/// The text with brackets around the words of suspicious tokens, given with their bytes.
fn marked(text: &str, judged: &[((usize, usize), f32)]) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let start_of = |word: &str| word.as_ptr().addr() - text.as_ptr().addr();
    let suspicious = |word: &&&str| {
        let range = start_of(word)..start_of(word) + word.len();
        // As the host reports it, in f32.
        let probability = |logit: f32| (1.0 / (1.0 + (-f64::from(logit)).exp())) as f32;
        judged.iter().any(|((start, _), logit)| probability(*logit) > 0.5 && range.contains(start))
    };
    let mut brackets = text.to_owned();
    // From the end, so that what comes before stays where it was.
    let chosen: Vec<&&str> = words.iter().filter(suspicious).collect();
    for word in chosen.iter().rev() {
        brackets.insert(start_of(word) + word.len(), ']');
        brackets.insert(start_of(word), '[');
    }
    format!("{} suspicious: {brackets}", chosen.len())
}
