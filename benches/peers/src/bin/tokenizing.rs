//! Times both tokenizers on the same lines, on one thread, in alternating rounds:
//! `tokenizing MODEL VOCABULARY TEXT ROUNDS`.
//!
//! Prints JSON: the nanoseconds of each round, and the numbers of tokens and bytes. Fails if the
//! ids of a line differ.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::Instant;

use electra::ModelFile;
use electra_peers::Outcome;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::{Tokenizer, TokenizerBuilder};

const PEER: &str = "tokenizers 0.23.2";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tokenizing: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, vocabulary, text, rounds] = arguments.as_slice() else {
        return Err("usage: tokenizing MODEL VOCABULARY TEXT ROUNDS".into());
    };
    let file = ModelFile::open(model)?;
    let theirs = reference(vocabulary)?;
    let text = std::fs::read_to_string(text).map_err(|error| format!("{text}: {error}"))?;
    let lines: Vec<&str> = text.lines().collect();
    let tokens = compare(&file, &theirs, &lines)?;
    let (mut our_times, mut their_times) = (Vec::new(), Vec::new());
    for _ in 0..rounds.parse().map_err(|error| format!("ROUNDS: {rounds} found: {error}"))? {
        our_times.push(time(|| our_tokens(&file, &lines))?);
        their_times.push(time(|| their_tokens(&theirs, &lines))?);
    }
    let bytes: usize = lines.iter().map(|line| line.len()).sum();
    println!(
        "{{\"peer\": {PEER:?}, \"ours\": {our_times:?}, \"theirs\": {their_times:?}, \"tokens\": {tokens}, \"bytes\": {bytes}, \"lines\": {}}}",
        lines.len()
    );
    Ok(())
}

/// Builds BERT's uncased tokenizer as `BertWordPieceTokenizer` does. The post-processor that adds
/// `[CLS]` and `[SEP]` is left out, because neither tokenizer is timed with it.
fn reference(vocabulary: &str) -> Outcome<Tokenizer> {
    let model = WordPiece::from_file(vocabulary)
        .unk_token("[UNK]".into())
        .build()
        .map_err(|error| error.to_string())?;
    let tokenizer = TokenizerBuilder::new()
        .with_model(model)
        .with_normalizer(Some(BertNormalizer::new(true, true, None, true)))
        .with_pre_tokenizer(Some(BertPreTokenizer))
        .with_post_processor(None::<tokenizers::PostProcessorWrapper>)
        .with_decoder(None::<tokenizers::DecoderWrapper>)
        .build()
        .map_err(|error| error.to_string())?;
    Ok(tokenizer.into())
}

fn compare(file: &ModelFile, theirs: &Tokenizer, lines: &[&str]) -> Outcome<usize> {
    let mut tokens = 0;
    for (number, line) in lines.iter().enumerate() {
        let ours: Vec<u32> = file.tokenizer().pieces(line)?.map(|token| u32::from(token.id)).collect();
        let encoding = theirs.encode_fast(*line, false).map_err(|error| error.to_string())?;
        if ours != encoding.get_ids() {
            return Err(format!("line {}: the token ids differ", number + 1).into());
        }
        tokens += ours.len();
    }
    Ok(tokens)
}

fn time(work: impl FnOnce() -> Outcome<usize>) -> Outcome<u128> {
    let start = Instant::now();
    std::hint::black_box(work()?);
    Ok(start.elapsed().as_nanos())
}

fn our_tokens(file: &ModelFile, lines: &[&str]) -> Outcome<usize> {
    let mut total = 0;
    let mut ids = [0u16; 512];
    for line in lines {
        total += file.tokenizer().encode(line, &mut ids)?.len;
    }
    Ok(total)
}

/// Counts tokens with `encode_fast`, the fastest method of the crate, which computes no offsets.
fn their_tokens(tokenizer: &Tokenizer, lines: &[&str]) -> Outcome<usize> {
    let mut total = 0;
    for line in lines {
        total += tokenizer.encode_fast(*line, false).map_err(|error| error.to_string())?.len();
    }
    Ok(total)
}
