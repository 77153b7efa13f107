//! Tests threads that share a run, and sequences that share a run. The logits must have the same
//! bits as with one thread and one sequence at a time, and the arena must have exactly the promised
//! size.
#![forbid(unsafe_code)]

use electra::{Classifier, ClassifierOptions, Engine, EngineKind, EngineOptions, Error, ModelFile};
use electra_core::{ArenaError, Capacity, Kernels, MAX_WORKERS, RunError, arena_bytes};
use electra_tests::{Random, Sizes, model_file, pack};

const SEQUENCES: usize = 5;

fn engine(file: &ModelFile, engine: EngineKind, threads: usize, kernels: Kernels) -> Engine {
    let options = EngineOptions::new()
        .engine(engine)
        .max_tokens(90)
        .kernels(kernels)
        .threads(threads)
        .max_sequences(SEQUENCES);
    Engine::new(file, &options).unwrap_or_else(|error| panic!("{threads} threads: {error}"))
}

fn bits(logits: &[f32]) -> Vec<u32> {
    logits.iter().map(|logit| logit.to_bits()).collect()
}

fn classifier_and_detector() -> [ModelFile; 2] {
    [Some(3), None].map(|labels| {
        let sizes = Sizes { labels, ..Sizes::TINY };
        model_file(&pack(&sizes.checkpoint(5)))
    })
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    for file in classifier_and_detector() {
        let mut random = Random::new(3);
        let all: Vec<Vec<u16>> =
            (1..=90).map(|len| random.ids(len, file.model().config().vocab_size)).collect();
        for kernels in Kernels::all() {
            let mut alone = engine(&file, EngineKind::Direct, 1, kernels);
            for kind in EngineKind::ALL {
                for threads in [2, 3, 7, MAX_WORKERS] {
                    let mut shared = engine(&file, *kind, threads, kernels);
                    assert_eq!(shared.threads(), threads);
                    for ids in all.iter().step_by(if threads == 2 { 1 } else { 7 }) {
                        let expected = bits(alone.run(ids).unwrap());
                        let found = bits(shared.run(ids).unwrap());
                        assert_eq!(found, expected, "{} tokens, {threads} threads, {kernels:?}", ids.len());
                    }
                }
            }
        }
    }
}

#[test]
fn packed_sequences_give_the_bits_of_their_own_runs() {
    for file in classifier_and_detector() {
        let vocab_size = file.model().config().vocab_size;
        let mut random = Random::new(8);
        for kernels in Kernels::all() {
            let mut alone = engine(&file, EngineKind::Direct, 1, kernels);
            for kind in EngineKind::ALL {
                for threads in [1, 2, 3] {
                    let mut packed = engine(&file, *kind, threads, kernels);
                    for lengths in
                        [&[1][..], &[1, 1], &[3, 17], &[16, 16, 16], &[5, 1, 33, 2, 49], &[4, 4, 4, 4, 4]]
                    {
                        let sequences: Vec<Vec<u16>> =
                            lengths.iter().map(|len| random.ids(*len, vocab_size)).collect();
                        let expected: Vec<u32> =
                            sequences.iter().flat_map(|ids| bits(alone.run(ids).unwrap())).collect();
                        let slices: Vec<&[u16]> = sequences.iter().map(Vec::as_slice).collect();
                        let found = bits(packed.run_packed(&slices).unwrap());
                        assert_eq!(found, expected, "{lengths:?}, {threads} threads, {kernels:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn exactly_the_promised_bytes() {
    for file in classifier_and_detector() {
        for (threads, sequences) in [(1, 1), (2, 1), (1, 7), (3, 5)] {
            let capacity = Capacity { tokens: 70, sequences, workers: threads };
            let needed = arena_bytes(file.model().config(), capacity);
            for engine in EngineKind::ALL {
                let options = |bytes| {
                    EngineOptions::new()
                        .engine(*engine)
                        .max_tokens(70)
                        .arena_bytes(bytes)
                        .threads(threads)
                        .max_sequences(sequences)
                };
                let error = Engine::new(&file, &options(needed - 1)).err();
                assert!(
                    matches!(error, Some(Error::Arena(ArenaError::TooSmall { needed: n, .. })) if n == needed),
                    "{error:?}"
                );
                let mut engine = Engine::new(&file, &options(needed)).unwrap();
                let ids = vec![1u16; 70 / sequences];
                let all: Vec<&[u16]> = (0..sequences).map(|_| &ids[..]).collect();
                engine.run_packed(&all).unwrap();
                // The worst case of padding: all sequences but the last have one token.
                let mut worst = vec![&ids[..1]; sequences];
                let long = vec![1u16; 70 + 1 - sequences];
                worst[sequences - 1] = &long;
                engine.run_packed(&worst).unwrap();
            }
        }
    }
}

#[test]
fn wrong_use_is_refused() {
    let [file, _] = classifier_and_detector();
    for threads in [0, MAX_WORKERS + 1] {
        let options = EngineOptions::new().threads(threads);
        let error = Engine::new(&file, &options).err();
        assert!(matches!(error, Some(Error::Threads { found, .. }) if found == threads), "{error:?}");
    }
    let pinned = EngineOptions::new().threads(MAX_WORKERS).pin_threads(true);
    if std::thread::available_parallelism().is_ok_and(|cores| cores.get() < MAX_WORKERS) {
        assert!(matches!(Engine::new(&file, &pinned), Err(Error::Pinning { .. })));
    }
    let mut engine = engine(&file, EngineKind::Direct, 2, Kernels::detect());
    let ids = [1u16; 90];
    let too_many = [&ids[..1]; SEQUENCES + 1];
    let refused = |error: Result<&[f32], Error>, expected: RunError| match error {
        Err(Error::Run(error)) => assert_eq!(error, expected),
        other => panic!("{other:?}"),
    };
    refused(engine.run_packed(&[]), RunError::Sequences { found: 0, max: SEQUENCES });
    refused(engine.run_packed(&too_many), RunError::Sequences { found: SEQUENCES + 1, max: SEQUENCES });
    refused(engine.run_packed(&[&ids, &ids[..1]]), RunError::Length { tokens: 91, max: 90 });
    refused(engine.run_packed(&[&ids[..1], &[]]), RunError::Length { tokens: 1, max: 90 });
    assert!(engine.run_packed(&[&ids]).is_ok());
}

#[test]
fn texts_together_get_the_answers_of_texts_alone() {
    let [file, _] = classifier_and_detector();
    let options = |max_sequences| {
        ClassifierOptions::new().engine(EngineOptions::new().max_tokens(40).max_sequences(max_sequences))
    };
    let mut alone = Classifier::new(&file, &options(None)).unwrap();
    let mut together = Classifier::new(&file, &options(Some(4))).unwrap();
    let long = "a b c ".repeat(60);
    let texts = ["a", "b c", "", &long, "d e f a b", "c", "a a a a a a a a a a a a", "b"];
    let expected: Vec<_> = texts.iter().map(|text| alone.classify(text).unwrap()).collect();
    let found: Vec<_> = together.classify_all(&texts).into_iter().map(Result::unwrap).collect();
    assert_eq!(found, expected);
    assert!(expected[3].windows > 1);
    assert!(together.classify_all(&[]).is_empty());
}
