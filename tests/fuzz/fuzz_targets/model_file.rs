//! Opens arbitrary bytes as a model file. Each file must be refused, or run on every kernel set.
//! The last byte selects the tokens.
#![no_main]

use electra_core::{Engine, Kernels, Model, RunError, arena_bytes};
use electra_fuzz::{aligned, check_tokens};
use libfuzzer_sys::fuzz_target;

/// Largest number of tokens; enough for padded and unpadded blocks of tokens.
const MOST_TOKENS: usize = 20;

fuzz_target!(|data: &[u8]| {
    let Some((choice, file)) = data.split_last() else { return };
    aligned(file.len(), |bytes| bytes.copy_from_slice(file), |bytes| run(*choice, bytes));
});

fn run(choice: u8, bytes: &[u8]) {
    let Ok(model) = Model::parse(bytes) else { return };
    // Nothing below requires correct checksums.
    _ = model.verify();
    let config = *model.config();
    let tokens = 1 + usize::from(choice) % config.max_position_embeddings.min(MOST_TOKENS);
    let ids: Vec<u16> =
        (0..tokens).map(|at| ((at * 31 + usize::from(choice)) % config.vocab_size) as u16).collect();
    let len = arena_bytes(&config, tokens);
    for kernels in Kernels::all() {
        aligned(
            len,
            |arena| arena.fill(choice),
            |arena| {
                let mut engine = match Engine::new(&model, kernels, arena, tokens) {
                    Ok(engine) => engine,
                    Err(error) => panic!("{error}"),
                };
                match engine.run(&ids) {
                    Ok(logits) => assert_eq!(logits.len(), config.num_logits(tokens, 1)),
                    // Weights are arbitrary bytes, so a run may overflow.
                    Err(RunError::NotFinite { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            },
        );
    }
    check_tokens(*model.vocabulary(), "the good, bad films are [MASK] not e\u{301}asily 字 seen!");
    _ = (model.labels().map(|label| model.threshold(label)).count(), model.version());
    _ = model.golden().map(|golden| golden.check(&[0.5; 3])).count();
}
