//! Tests weights so large that the arithmetic overflows. If the published model has no finite
//! logits, the engines must report an error.

use electra::{Engine, EngineKind, EngineOptions, Error};
use electra_core::{Kernels, RunError, verdict};
use electra_pack::checkpoint::Checkpoint;
use electra_tests::{Random, Sizes, model_file, pack};

use electra_pack::float::Float;

/// Returns the checkpoint with `tensor` scaled to a greatest magnitude of `most`.
fn inflated(checkpoint: &Checkpoint, tensor: &str, most: f64) -> Checkpoint {
    let mut checkpoint = checkpoint.clone();
    let data = &mut checkpoint.tensors.get_mut(tensor).expect("the tensor").data;
    let greatest = data.iter().fold(0f32, |greatest, value| greatest.max(value.abs()));
    data.iter_mut().for_each(|value| *value = (f64::from(*value) * most / f64::from(greatest)) as f32);
    assert!(data.iter().all(|value| value.is_finite()));
    checkpoint
}

#[test]
fn an_overflow_in_any_layer_is_an_error() {
    for labels in [Some(3), None] {
        let sane = Sizes { labels, embedding: 16, ..Sizes::TINY }.checkpoint(81);
        let ids = Random::new(82).ids(9, sane.config.vocab_size);
        let mut overflowing = Vec::new();
        for tensor in sane.tensors.keys() {
            // The reference has weights a third as large, so that rounding to integers does not
            // decide whether the engine overflows.
            let expected = Float::new(&inflated(&sane, tensor, 1e38)).logits(&ids);
            if expected.iter().all(|logit| logit.is_finite()) {
                continue;
            }
            overflowing.push(tensor);
            let file = model_file(&pack(&inflated(&sane, tensor, 3e38)));
            for kernels in Kernels::all() {
                for engine in EngineKind::ALL {
                    let options = EngineOptions::new().engine(*engine).kernels(kernels);
                    let mut engine = Engine::new(&file, &options).unwrap_or_else(|error| panic!("{error}"));
                    let outcome = engine.run(&ids);
                    assert!(
                        matches!(outcome, Err(Error::Run(RunError::NotFinite { .. }))),
                        "{tensor}, {}: {outcome:?}, the published model gives {expected:?}",
                        kernels.name()
                    );
                }
            }
        }
        assert!(overflowing.len() > sane.tensors.len() / 2, "{overflowing:?}");
    }
}

/// One word overflows, at any position of a sequence. That sequence has no answer. Other sequences
/// in the same run keep their answers.
#[test]
fn a_word_that_overflows_spoils_its_own_sequence_only() {
    const WORD: u16 = 7;
    for (labels, embedding) in [(Some(3), 16), (Some(3), 32), (None, 16), (None, 32)] {
        let mut checkpoint = Sizes { labels, embedding, ..Sizes::TINY }.checkpoint(83);
        let words =
            &mut checkpoint.tensors.get_mut("electra.embeddings.word_embeddings.weight").expect("words").data;
        words[usize::from(WORD) * embedding..][..embedding].iter_mut().for_each(|value| *value *= 1e30);
        let file = model_file(&pack(&checkpoint));
        let good: Vec<u16> = vec![2, 20, 21, 22, 3];
        for kernels in Kernels::all() {
            let options = EngineOptions::new().kernels(kernels).threads(2).max_sequences(3);
            let mut engine = Engine::new(&file, &options).unwrap_or_else(|error| panic!("{error}"));
            let alone = engine.run(&good).unwrap_or_else(|error| panic!("{error}")).to_vec();
            for place in 0..good.len() {
                let mut bad = good.clone();
                bad[place] = WORD;
                assert!(matches!(engine.run(&bad), Err(Error::Run(RunError::NotFinite { .. }))), "{place}");
                let together =
                    engine.run_packed(&[&good, &bad, &good]).unwrap_or_else(|error| panic!("{error}"));
                let [first, spoilt, last] = [0, 1, 2].map(|at| &together[at * alone.len()..][..alone.len()]);
                assert!((first, last) == (&*alone, &*alone) && verdict::finite(spoilt).is_err(), "{place}");
            }
        }
    }
}
