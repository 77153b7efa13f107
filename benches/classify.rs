//! Benchmarks whole runs of both engines, from ids to logits, and the classification of one
//! sentence, from text to label.
#![allow(missing_docs, reason = "criterion's macro makes an undocumented function")]

use std::error::Error;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use electra::{Classifier, Engine, EngineKind, EngineOptions};
use electra_benches::{LENGTHS, default_model, ids};

fn classify(criterion: &mut Criterion) -> Result<(), Box<dyn Error>> {
    let file = default_model()?;
    let mut group = criterion.benchmark_group("engine");
    for kind in EngineKind::ALL {
        let mut engine = Engine::new(&file, &EngineOptions::new().engine(*kind))?;
        for tokens in LENGTHS {
            let ids = ids(&file, tokens);
            engine.run(&ids)?;
            group.bench_function(BenchmarkId::new(kind.name(), tokens), |bencher| {
                bencher.iter(|| engine.run(&ids).map(|logits| logits[0]));
            });
        }
    }
    group.finish();
    let mut classifier = Classifier::open_default()?;
    let text = "ELECTRA is surprisingly fast and accurate.";
    classifier.classify(text)?;
    criterion.bench_function("classify a sentence", |bencher| bencher.iter(|| classifier.classify(text)));
    Ok(())
}

fn run(criterion: &mut Criterion) {
    if let Err(error) = classify(criterion) {
        eprintln!("classify: {error}");
        std::process::exit(1);
    }
}

criterion_group!(benches, run);
criterion_main!(benches);
