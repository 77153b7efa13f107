//! Times calls of [`electra::Classifier::classify`] for `benches/python/overhead.py`.
//!
//! For each line of standard input, a number, it makes so many calls with one text and prints the
//! nanoseconds of one call.
#![forbid(unsafe_code)]

use std::error::Error;
use std::io::{self, BufRead, Write};
use std::time::Instant;

use electra::{Classifier, ClassifierOptions, EngineKind, EngineOptions, ModelFile};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (model, text) = (args.next().unwrap_or_default(), args.next().unwrap_or_default());
    let engine = EngineOptions::new().engine(EngineKind::Direct).threads(Some(1));
    let mut classifier = Classifier::new(&ModelFile::open(model)?, &ClassifierOptions::new().engine(engine))?;
    let mut output = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let calls: u32 = line?.trim().parse()?;
        let start = Instant::now();
        for _ in 0..calls {
            std::hint::black_box(classifier.classify(&text)?);
        }
        writeln!(output, "{}", start.elapsed().as_nanos() / u128::from(calls.max(1)))?;
        output.flush()?;
    }
    Ok(())
}
