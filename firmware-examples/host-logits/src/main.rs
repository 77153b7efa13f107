//! `host-logits MODEL < LINES` computes on this machine the answer that the firmware must give to
//! each line: the answer of `sentiment-uart` for a classifier, and that of `typing-detector` for a
//! model that detects replaced tokens.
//!
//! Every kernel set of this processor computes each line. Logits with different bits are an error.
//! Softmax, marking of words and formatting share no code with the firmware.
#![forbid(unsafe_code)]

use std::error::Error;
use std::io::{BufRead, stdin};
use std::{env, fs};

use electra_core::tokenizer::Tokenizer;
use electra_core::{ARENA_ALIGNMENT, Engine, HeadKind, Kernels, Model, arena_bytes};

/// Longest sequence in tokens, as in the examples.
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
        let macs = electra_core::macs(model.config(), encoding.len);
        answer += &format!(" logits={} tokens={} macs={macs}", bits.join(","), encoding.len);
    }
    Ok(answer)
}

/// Returns the logits of `ids`. Fails if two kernel sets compute different bits.
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
    // Of equal scores, the first one counts. `max_by` returns the last one, so the order is
    // reversed.
    let best = (0..scores.len()).rev().max_by(|a, b| scores[*a].total_cmp(&scores[*b])).unwrap_or(0);
    let label = model.labels().nth(best).ok_or("labels: fewer than logits")?;
    let key = format!("threshold.{label}=");
    let threshold = model.metadata().lines().find_map(|line| line.strip_prefix(&key));
    let threshold: f32 = threshold.unwrap_or("0").parse()?;
    let answer = if scores[best] < threshold { "UNSURE" } else { label };
    Ok(format!("{answer} {:.4}", scores[best]))
}

/// Returns the number of suspicious words and the text with brackets around them. `judged` contains
/// the byte range and the logit of each token.
fn marked(text: &str, judged: &[((usize, usize), f32)]) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let start_of = |word: &str| word.as_ptr().addr() - text.as_ptr().addr();
    let suspicious = |word: &&&str| {
        let range = start_of(word)..start_of(word) + word.len();
        // The host reports probabilities in f32.
        let probability = |logit: f32| (1.0 / (1.0 + (-f64::from(logit)).exp())) as f32;
        judged.iter().any(|((start, _), logit)| probability(*logit) > 0.5 && range.contains(start))
    };
    let mut brackets = text.to_owned();
    // Brackets are inserted from the end, so that earlier positions stay valid.
    let chosen: Vec<&&str> = words.iter().filter(suspicious).collect();
    for word in chosen.iter().rev() {
        brackets.insert(start_of(word) + word.len(), ']');
        brackets.insert(start_of(word), '[');
    }
    format!("{} suspicious: {brackets}", chosen.len())
}
