//! Counts allocations. A run must allocate nothing, and opening a model almost nothing.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use electra::{Classifier, ClassifierOptions, Detector, Engine, EngineKind, EngineOptions, ModelFile};
use electra_tests::{Random, Sizes, model_file, pack, temporary};

thread_local! {
    /// Calls and bytes of this thread. Tests of one process run at the same time, so each test
    /// counts only its own thread. If a run started a thread, the allocations for starting it would
    /// be counted here.
    static ALLOCATED: Cell<Allocated> = const { Cell::new(Allocated { calls: 0, bytes: 0 }) };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Allocated {
    calls: usize,
    bytes: usize,
}

struct Counting;

impl Counting {
    fn count(bytes: usize) {
        // At the end of a thread its variables are already gone. Nothing is measured then.
        let _ = ALLOCATED.try_with(|allocated| {
            let Allocated { calls, bytes: before } = allocated.get();
            allocated.set(Allocated { calls: calls + 1, bytes: before + bytes });
        });
    }
}

// SAFETY: every call is passed to the system's allocator unchanged. Counting neither allocates nor
// unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::count(layout.size());
        // SAFETY: the caller's promises about `layout` are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::count(layout.size());
        // SAFETY: as in `alloc`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Self::count(size);
        // SAFETY: the caller's promises about `block`, `layout` and `size` are passed on.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises about `block` and `layout` are passed on.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Runs `work`. Returns its allocations in this thread and its result.
fn allocated_by<T>(work: impl FnOnce() -> T) -> (Allocated, T) {
    let before = ALLOCATED.get();
    let result = work();
    let after = ALLOCATED.get();
    (Allocated { calls: after.calls - before.calls, bytes: after.bytes - before.bytes }, result)
}

const NOTHING: Allocated = Allocated { calls: 0, bytes: 0 };

#[test]
fn the_counter_counts() {
    let (allocated, block) = allocated_by(|| vec![1u8; 1000]);
    assert_eq!((allocated, block.len()), (Allocated { calls: 1, bytes: 1000 }, 1000));
    let (allocated, block) = allocated_by(|| vec![0u8; 500]);
    assert_eq!((allocated, block.len()), (Allocated { calls: 1, bytes: 500 }, 500));
    assert_eq!(allocated_by(|| ()).0, NOTHING);
}

fn assert_runs_allocate_nothing(file: &ModelFile, lengths: impl Iterator<Item = usize> + Clone) {
    let vocab_size = file.model().config().vocab_size;
    for kind in EngineKind::ALL {
        let options = EngineOptions::new().engine(*kind);
        let mut engine = Engine::new(file, &options).unwrap_or_else(|error| panic!("{error}"));
        let mut random = Random::new(41);
        let ids = random.ids(7, vocab_size);
        let (first, result) = allocated_by(|| engine.run(&ids).map(<[f32]>::len));
        assert!(result.is_ok());
        println!("{}: the first run allocates {} bytes in {} calls", kind.name(), first.bytes, first.calls);
        for len in lengths.clone() {
            let ids = random.ids(len, vocab_size);
            let (allocated, result) = allocated_by(|| engine.run(&ids).map(<[f32]>::len));
            assert!(result.is_ok());
            assert_eq!(allocated, NOTHING, "{}, {len} tokens", kind.name());
        }
    }
}

#[test]
fn runs_allocate_nothing() {
    for labels in [Some(3), None] {
        let file = model_file(&pack(&Sizes { labels, ..Sizes::TINY }.checkpoint(42)));
        assert_runs_allocate_nothing(&file, 1..=512);
    }
}

#[test]
fn shared_and_packed_runs_allocate_nothing() {
    let file = model_file(&pack(&Sizes { labels: Some(3), ..Sizes::TINY }.checkpoint(46)));
    let mut random = Random::new(46);
    for engine in EngineKind::ALL {
        let options = EngineOptions::new().engine(*engine).threads(2).max_sequences(4);
        let mut engine = Engine::new(&file, &options).unwrap_or_else(|error| panic!("{error}"));
        let ids = [40, 3, 17, 60].map(|len| random.ids(len, file.model().config().vocab_size));
        let sequences = [&*ids[0], &*ids[1], &*ids[2], &*ids[3]];
        assert!(engine.run_packed(&sequences).is_ok());
        for count in [4, 1, 2, 3] {
            let (allocated, result) =
                allocated_by(|| engine.run_packed(&sequences[..count]).map(<[f32]>::len));
            assert!(result.is_ok());
            assert_eq!(allocated, NOTHING, "{count} sequences");
        }
    }
}

const MODELS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models");

/// Texts of one window and of several ones.
fn texts() -> [String; 4] {
    ["", "a", "What a waste of money.", "He was born in of 1952 and moved to Paris. "]
        .map(|text| if text.ends_with(' ') { text.repeat(20) } else { text.to_owned() })
}

#[test]
fn classifying_in_place_allocates_nothing_and_answers_as_usual() {
    let file = ModelFile::open(format!("{MODELS}/electra-small-sentiment/model.electra")).expect("a model");
    let options =
        ClassifierOptions::new().engine(EngineOptions::new().engine(EngineKind::Direct).max_tokens(64));
    let mut classifier = Classifier::new(&file, &options).expect("a classifier");
    for text in texts() {
        let expected = classifier.classify(&text).expect("an answer");
        let (allocated, answer) = allocated_by(|| classifier.classify_in_place(&text));
        assert_eq!(allocated, NOTHING, "{text}");
        let answer = answer.expect("an answer");
        assert_eq!((answer.label, answer.score), (&*expected.label, expected.score), "{text}");
        assert!(answer.scores.iter().eq(expected.scores.iter().map(|entry| &entry.score)), "{text}");
        let (tokens, windows, truncated) = (expected.tokens, expected.windows, expected.truncated);
        assert_eq!((answer.tokens, answer.windows, answer.truncated), (tokens, windows, truncated), "{text}");
    }
}

#[test]
fn detecting_each_token_allocates_nothing_and_answers_as_usual() {
    let file = ModelFile::open(format!("{MODELS}/electra-small-rtd/model.electra")).expect("a model");
    let options = EngineOptions::new().engine(EngineKind::Direct).max_tokens(64);
    let mut detector = Detector::new(&file, &options).expect("a detector");
    for text in texts() {
        let expected = detector.detect(&text).expect("an answer");
        let mut tokens = expected.tokens.iter();
        let (allocated, windows) = allocated_by(|| {
            detector.detect_each(&text, |found| {
                let expected = tokens.next().expect("as many tokens");
                assert!(found.piece == expected.piece && found.span == expected.span);
                assert!(found.probability == expected.probability);
            })
        });
        assert_eq!((allocated, windows.expect("an answer")), (NOTHING, expected.windows), "{text}");
        assert!(tokens.next().is_none(), "{text}");
    }
}

#[test]
fn runs_of_electra_small_allocate_nothing() {
    let file = model_file(&pack(&Sizes { vocab: 1000, ..Sizes::SMALL }.checkpoint(43)));
    assert_runs_allocate_nothing(&file, [512, 1, 128, 33, 512].into_iter());
}

#[test]
fn opening_copies_no_weights() {
    let bytes = pack(&Sizes::SMALL.with_vocabulary(44, electra_tests::published_vocabulary()));
    let path = temporary(&bytes);
    let (allocated, file) = allocated_by(|| ModelFile::open(&path));
    let file = file.unwrap_or_else(|error| panic!("{error}"));
    println!("opening {} bytes allocates {} in {} calls", bytes.len(), allocated.bytes, allocated.calls);
    assert_eq!(file.model().file_len(), bytes.len());
    assert!(allocated.bytes < 64 << 10, "{allocated:?}");
}

#[test]
fn an_engine_allocates_its_arena_and_little_else() {
    let file = model_file(&pack(&Sizes { vocab: 1000, ..Sizes::SMALL }.checkpoint(45)));
    for kind in EngineKind::ALL {
        let options = EngineOptions::new().engine(*kind).max_tokens(128);
        let (allocated, engine) = allocated_by(|| Engine::new(&file, &options));
        let engine = engine.unwrap_or_else(|error| panic!("{error}"));
        let besides = allocated.bytes - engine.arena_bytes();
        println!("{}: {besides} bytes besides the arena of {}", kind.name(), engine.arena_bytes());
        // Planning a graph needs memory temporarily. The direct engine needs one word per logit.
        let most = if *kind == EngineKind::Direct { 1 << 10 } else { 1 << 20 };
        assert!(besides <= most);
    }
}
