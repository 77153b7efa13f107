//! Tests both engines with every kernel set: bit-equal logits, the operators that they execute, the
//! size of their arena, and their errors.
#![forbid(unsafe_code)]

use electra::{EngineKind, EngineOptions, Error, ModelFile, OPERATORS};
use electra_core::{
    ARENA_ALIGNMENT, ArenaError, Config, HeadKind, Kernels, Model, Phase, RunError, arena_bytes, arena_parts,
};
use electra_tests::{Aligned, Random, Sizes, model_file, pack};

fn engine(file: &ModelFile, kind: EngineKind, kernels: Kernels, max_tokens: usize) -> electra::Engine {
    let options = EngineOptions::new().engine(kind).max_tokens(max_tokens).kernels(kernels);
    electra::Engine::new(file, &options).unwrap_or_else(|error| panic!("{error}"))
}

fn bits(logits: &[f32]) -> Vec<u32> {
    logits.iter().map(|logit| logit.to_bits()).collect()
}

fn run(engine: &mut electra::Engine, ids: &[u16]) -> Vec<u32> {
    bits(engine.run(ids).unwrap_or_else(|error| panic!("{} tokens: {error}", ids.len())))
}

/// Returns both engines, each with every kernel set.
fn all_engines(file: &ModelFile, max_tokens: usize) -> Vec<electra::Engine> {
    let kinds = EngineKind::ALL.iter();
    kinds.flat_map(|kind| Kernels::all().map(|kernels| engine(file, *kind, kernels, max_tokens))).collect()
}

fn assert_all_equal(file: &ModelFile, max_tokens: usize, lengths: impl Iterator<Item = usize>) {
    let config = file.model().config();
    let mut engines = all_engines(file, max_tokens);
    assert_eq!(engines.len(), EngineKind::ALL.len() * Kernels::all().count());
    let mut random = Random::new(max_tokens as u64);
    for len in lengths {
        let ids = random.ids(len, config.vocab_size);
        let (first, others) = engines.split_first_mut().unwrap_or_else(|| panic!("no engine"));
        let expected = run(first, &ids);
        assert_eq!(expected.len(), config.num_logits(len, 1));
        assert!(expected.iter().all(|bits| f32::from_bits(*bits).is_finite()));
        for other in others {
            let kernels = other.kernels().name();
            assert_eq!(run(other, &ids), expected, "{len} tokens, {kernels}");
        }
    }
}

#[test]
#[cfg_attr(emulated, ignore = "takes minutes on an emulated processor")]
fn engines_and_kernels_are_bit_equal_at_every_length() {
    for labels in [Some(3), None] {
        let sizes = Sizes { labels, ..Sizes::TINY };
        assert_all_equal(&model_file(&pack(&sizes.checkpoint(21))), 512, 1..=512);
    }
}

#[test]
fn engines_and_kernels_are_bit_equal_on_other_shapes() {
    let shapes = [
        ([16, 16, 1, 1, 16], Some(1)),
        ([16, 48, 3, 3, 80], Some(5)),
        ([80, 80, 2, 5, 112], None),
        ([48, 96, 2, 2, 144], Some(17)),
        ([64, 64, 1, 1, 208], Some(33)),
    ];
    for (seed, ([embedding, hidden, layers, heads, intermediate], labels)) in shapes.into_iter().enumerate() {
        let vocab = 120 + seed;
        let sizes = Sizes { vocab, embedding, hidden, layers, heads, intermediate, positions: 70, labels };
        let file = model_file(&pack(&sizes.checkpoint(seed as u64)));
        assert_all_equal(&file, 70, 1..=70);
    }
}

#[test]
#[cfg_attr(emulated, ignore = "takes minutes on an emulated processor")]
fn engines_and_kernels_are_bit_equal_on_electra_small() {
    let file = model_file(&pack(&Sizes { vocab: 1000, ..Sizes::SMALL }.checkpoint(22)));
    assert_all_equal(&file, 130, [1, 2, 31, 32, 33, 130].into_iter());
}

#[test]
fn logits_do_not_depend_on_the_longest_sequence_or_on_earlier_runs() {
    let file = model_file(&pack(&Sizes::TINY.checkpoint(23)));
    let vocab_size = file.model().config().vocab_size;
    let mut random = Random::new(24);
    for kind in EngineKind::ALL {
        let mut long = engine(&file, *kind, Kernels::detect(), 512);
        for len in [3, 15, 16, 17, 100, 4] {
            let ids = random.ids(len, vocab_size);
            let expected = run(&mut engine(&file, *kind, Kernels::detect(), len), &ids);
            assert_eq!(run(&mut long, &ids), expected);
            run(&mut long, &random.ids(512, vocab_size));
            assert_eq!(run(&mut long, &ids), expected);
        }
    }
}

#[test]
fn tract_executes_our_operators_only() {
    let [source, embedding, attention, feed_forward, head] = OPERATORS;
    for (layers, labels) in [(1, None), (3, Some(2)), (12, Some(2))] {
        let file = model_file(&pack(&Sizes { layers, labels, ..Sizes::TINY }.checkpoint(25)));
        let mut expected = vec![source, embedding];
        for _ in 0..layers {
            expected.extend([attention, feed_forward]);
        }
        expected.push(head);
        assert_eq!(engine(&file, EngineKind::Tract, Kernels::detect(), 16).operators(), expected);
        assert!(engine(&file, EngineKind::Direct, Kernels::detect(), 16).operators().is_empty());
    }
    assert_eq!(EngineKind::default(), EngineKind::Tract);
}

#[test]
fn bad_sequences_are_refused_and_the_engine_works_afterwards() {
    for labels in [Some(2), None] {
        let file = model_file(&pack(&Sizes { labels, ..Sizes::TINY }.checkpoint(26)));
        for mut engine in all_engines(&file, 20) {
            let good = [2, 50, 199, 3];
            let expected = run(&mut engine, &good);
            let cases = [
                (vec![], RunError::Length { tokens: 0, max: 20 }),
                (vec![1; 21], RunError::Length { tokens: 21, max: 20 }),
                (vec![1; 600], RunError::Length { tokens: 600, max: 20 }),
                (vec![2, 5, 200, 3], RunError::Token { position: 2, id: 200, vocab_size: 200 }),
                (vec![u16::MAX], RunError::Token { position: 0, id: u16::MAX, vocab_size: 200 }),
            ];
            for (ids, expected_error) in cases {
                match engine.run(&ids) {
                    Err(Error::Run(error)) => assert_eq!(error, expected_error),
                    other => panic!("{} tokens: {other:?}, expected {expected_error:?}", ids.len()),
                }
                assert_eq!(run(&mut engine, &good), expected);
            }
        }
    }
}

#[test]
fn engines_for_impossible_lengths_are_refused() {
    let bytes = pack(&Sizes::TINY.checkpoint(27));
    let file = model_file(&bytes);
    for found in [0, 1, 2, 513, usize::MAX] {
        for kind in EngineKind::ALL {
            let options = EngineOptions::new().engine(*kind).max_tokens(found);
            let error = electra::Engine::new(&file, &options).err();
            assert!(
                matches!(error, Some(Error::MaxTokens { found: f, max: 512 }) if f == found),
                "{found}: {error:?}"
            );
        }
    }
    let bytes = Aligned::copy_of(&bytes);
    let model = open(&bytes);
    let mut arena = Aligned::zeroed(1 << 20);
    for tokens in [0, 513, usize::MAX] {
        let error = electra_core::Engine::new(&model, Kernels::detect(), arena.bytes_mut(), tokens).err();
        assert_eq!(error, Some(RunError::Length { tokens, max: 512 }));
    }
}

fn open(bytes: &Aligned) -> Model<'_> {
    Model::open(bytes.bytes()).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_arena_is_as_large_as_promised_and_not_a_byte_larger() {
    for labels in [Some(2), None] {
        let file = model_file(&pack(&Sizes { labels, ..Sizes::TINY }.checkpoint(28)));
        let model = file.model();
        for tokens in (3..40).chain([64, 127, 128, 511, 512]) {
            let needed = arena_bytes(model.config(), tokens);
            let mut arena = Aligned::zeroed(needed);
            let too_small = ArenaError::TooSmall { needed, given: needed - 1, tokens };
            assert!(too_small.to_string().contains(&format!("{needed} needed")));
            let short = &mut arena.bytes_mut()[..needed - 1];
            let error = electra_core::Engine::new(model, Kernels::detect(), short, tokens).err();
            assert_eq!(error, Some(RunError::Arena(too_small)));
            let exact = electra_core::Engine::new(model, Kernels::detect(), arena.bytes_mut(), tokens);
            let mut exact = exact.unwrap_or_else(|error| panic!("{tokens} tokens: {error}"));
            let ids = Random::new(tokens as u64).ids(tokens, 200);
            for len in (1..=tokens).step_by(1 + tokens / 20).chain([tokens]) {
                assert!(exact.run(&ids[..len]).is_ok(), "{len} of {tokens} tokens");
            }
            for kind in EngineKind::ALL {
                let of_size = |bytes: usize| {
                    let (engine, max_tokens, arena_bytes) = (*kind, Some(tokens), Some(bytes));
                    let options =
                        EngineOptions::new().engine(engine).max_tokens(max_tokens).arena_bytes(arena_bytes);
                    electra::Engine::new(&file, &options)
                };
                match of_size(needed - 1) {
                    Err(Error::Arena(error)) => assert_eq!(error, too_small),
                    other => panic!("{tokens} tokens: {:?}", other.err()),
                }
                let engine = of_size(needed).unwrap_or_else(|error| panic!("{tokens} tokens: {error}"));
                assert_eq!(engine.arena_bytes(), needed);
                let mut larger =
                    of_size(needed + 77).unwrap_or_else(|error| panic!("{tokens} tokens: {error}"));
                assert_eq!(larger.arena_bytes(), needed + 77);
                assert!(larger.run(&ids).is_ok());
            }
        }
    }
}

#[test]
fn an_arena_at_another_address_is_refused() {
    let bytes = Aligned::copy_of(&pack(&Sizes::TINY.checkpoint(29)));
    let model = open(&bytes);
    let needed = arena_bytes(model.config(), 16);
    let mut arena = Aligned::zeroed(needed + ARENA_ALIGNMENT);
    for offset in [1, 2, 4, 8, 16, 32, 63] {
        let arena = &mut arena.bytes_mut()[offset..offset + needed];
        let error = electra_core::Engine::new(&model, Kernels::detect(), arena, 16).err();
        assert_eq!(error, Some(RunError::Arena(ArenaError::Misaligned)), "offset {offset}");
    }
    let arena = &mut arena.bytes_mut()[ARENA_ALIGNMENT..];
    assert!(electra_core::Engine::new(&model, Kernels::detect(), arena, 16).is_ok());
}

const ELECTRA_SMALL: Config = Config {
    head: HeadKind::Classification,
    vocab_size: 30_522,
    embedding_size: 128,
    hidden_size: 256,
    num_hidden_layers: 12,
    num_attention_heads: 4,
    intermediate_size: 1024,
    max_position_embeddings: 512,
    type_vocab_size: 2,
    num_labels: 2,
    layer_norm_eps: 1e-12,
};

#[test]
fn the_arena_of_electra_small_is_as_small_as_published() {
    let [at_32, at_128] = [32, 128].map(|tokens| arena_bytes(&ELECTRA_SMALL, tokens));
    println!("ELECTRA-Small: arena of {at_32} bytes for 32 tokens, {at_128} for 128");
    assert!(at_32 <= 160_000, "{at_32}");
    assert!(at_128 <= 450_000, "{at_128}");
}

#[test]
fn the_parts_of_the_arena_add_up() {
    for head in [HeadKind::Classification, HeadKind::ReplacedTokenDetection] {
        let labels = if head == HeadKind::Classification { 2 } else { 1 };
        let config = Config { head, num_labels: labels, ..ELECTRA_SMALL };
        for tokens in [1, 2, 31, 32, 128, 511, 512] {
            let mut of_phase = Phase::ALL.map(|phase| (phase, 0));
            arena_parts(&config, tokens, |phase, name, bytes| {
                assert!(!name.is_empty());
                for (of, sum) in &mut of_phase {
                    if *of == phase {
                        *sum += bytes.next_multiple_of(ARENA_ALIGNMENT);
                    }
                }
            });
            let whole_run: usize =
                of_phase.iter().filter(|(phase, _)| *phase == Phase::Run).map(|(_, sum)| sum).sum();
            let scratch =
                of_phase.iter().filter(|(phase, _)| *phase != Phase::Run).map(|(_, sum)| *sum).max();
            assert_eq!(Some(arena_bytes(&config, tokens) - whole_run), scratch, "{tokens} tokens");
            assert!(of_phase.iter().all(|(_, sum)| *sum > 0));
        }
    }
}

#[test]
fn more_tokens_than_positions_need_no_more() {
    let most = arena_bytes(&ELECTRA_SMALL, ELECTRA_SMALL.max_position_embeddings);
    for tokens in [513, 514, usize::MAX / 256, usize::MAX - 15, usize::MAX] {
        assert_eq!(arena_bytes(&ELECTRA_SMALL, tokens), most, "{tokens} tokens");
    }
}

/// Returns generators of bytes that an arena may contain before a run. As floats they are zeros,
/// NaN, large numbers, small numbers, and random.
fn poisons() -> [Box<dyn FnMut() -> u8>; 5] {
    let mut random = Random::new(30);
    [
        Box::new(|| 0),
        Box::new(|| 0xff),
        Box::new(|| 0x7f),
        Box::new(|| 0x80),
        Box::new(move || random.below(256) as u8),
    ]
}

#[test]
#[cfg_attr(emulated, ignore = "takes minutes on an emulated processor")]
fn earlier_content_of_the_arena_changes_no_bit() {
    for labels in [Some(2), None] {
        let sizes = Sizes { hidden: 80, embedding: 48, heads: 5, intermediate: 112, labels, ..Sizes::TINY };
        let bytes = Aligned::copy_of(&pack(&sizes.checkpoint(31)));
        let model = open(&bytes);
        let most = 70;
        let mut arena = Aligned::zeroed(arena_bytes(model.config(), most));
        let mut random = Random::new(32);
        for len in (1..20).chain([31, 32, 33, 63, 64, 65, most]) {
            let ids = random.ids(len, 200);
            let mut expected = None;
            for kernels in Kernels::all() {
                for (index, poison) in poisons().iter_mut().enumerate() {
                    arena.bytes_mut().fill_with(poison);
                    let engine = electra_core::Engine::new(&model, kernels, arena.bytes_mut(), most);
                    let mut engine = engine.unwrap_or_else(|error| panic!("{error}"));
                    let found = bits(engine.run(&ids).unwrap_or_else(|error| panic!("{error}")));
                    let expected = expected.get_or_insert_with(|| found.clone());
                    assert_eq!(found, *expected, "{len} tokens, {}, poison {index}", kernels.name());
                }
            }
        }
    }
}

#[test]
fn the_gemms_that_are_timed_are_those_of_a_run() {
    for labels in [Some(3), None] {
        let file = model_file(&pack(&Sizes { labels, ..Sizes::TINY }.checkpoint(33)));
        let Sizes { hidden, intermediate, layers, .. } = Sizes::TINY;
        for tokens in [1, 17, 40] {
            // The last layer of a classifier computes only the row of [CLS].
            let rows = if labels.is_some() { (layers - 1) * tokens + 1 } else { layers * tokens };
            for mut engine in all_engines(&file, 40) {
                let (_, macs) = engine.time_gemms(tokens).unwrap_or_else(|error| panic!("{error}"));
                assert_eq!(macs, 2 * (rows * hidden * intermediate) as u64, "{labels:?}, {tokens} tokens");
            }
        }
    }
}
