//! Benchmarks tokenization in bytes per second, on plain English and on text with accents and other
//! scripts.
#![allow(missing_docs, reason = "criterion's macro makes an undocumented function")]

use std::error::Error;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const ENGLISH: &str =
    "The chef's tasting menu was surprisingly good, although 3.5 hours is unflinchingly long. ";
const MIXED: &str = "Crème brûlée & Ångström — «мама мыла раму», 今天天气很好, हिन्दी, 한국어! ";

fn tokenizer(criterion: &mut Criterion) -> Result<(), Box<dyn Error>> {
    let file = electra_benches::default_model()?;
    let mut group = criterion.benchmark_group("tokenizer");
    for (name, sentence) in [("english", ENGLISH), ("mixed", MIXED)] {
        let text = sentence.repeat(100);
        file.tokenizer().pieces(&text)?;
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| file.tokenizer().pieces(&text).map(Iterator::count));
        });
    }
    group.finish();
    Ok(())
}

fn run(criterion: &mut Criterion) {
    if let Err(error) = tokenizer(criterion) {
        eprintln!("tokenizer: {error}");
        std::process::exit(1);
    }
}

criterion_group!(benches, run);
criterion_main!(benches);
