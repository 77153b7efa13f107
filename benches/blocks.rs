//! Benchmarks each block of the model separately, on one thread, with the fastest kernels of this
//! machine.
#![allow(missing_docs, reason = "criterion's macro makes an undocumented function")]

use std::error::Error;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use electra_benches::{LENGTHS, default_model, ids};
use electra_core::{ARENA_ALIGNMENT, Kernels, SingleThread, Step, Steps, arena_bytes};

fn blocks(criterion: &mut Criterion) -> Result<(), Box<dyn Error>> {
    let file = default_model()?;
    let steps = Steps { model: file.model(), kernels: Kernels::detect(), team: &SingleThread };
    let mut group = criterion.benchmark_group("blocks");
    for tokens in LENGTHS {
        let needed = arena_bytes(file.model().config(), tokens);
        let mut block = vec![0u8; needed + ARENA_ALIGNMENT];
        let start = block.as_ptr().align_offset(ARENA_ALIGNMENT);
        let arena = &mut block[start..start + needed];
        let run = steps.begin(&[&ids(&file, tokens)], tokens.into(), arena)?;
        let named = [
            ("embedding", Step::Embedding),
            ("attention", Step::Attention(0)),
            ("feed-forward", Step::FeedForward(0)),
            ("head", Step::Head),
        ];
        for (name, step) in named {
            steps.run(step, run, arena)?;
            group.bench_function(BenchmarkId::new(name, tokens), |bencher| {
                bencher.iter(|| steps.run(step, run, arena));
            });
        }
    }
    group.finish();
    Ok(())
}

fn run(criterion: &mut Criterion) {
    if let Err(error) = blocks(criterion) {
        eprintln!("blocks: {error}");
        std::process::exit(1);
    }
}

criterion_group!(benches, run);
criterion_main!(benches);
