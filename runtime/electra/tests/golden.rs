//! Logits of the default model that every target, engine and kernel set must reproduce to the bit.
#![forbid(unsafe_code)]

use electra::{Engine, EngineKind, EngineOptions, ModelFile};
use electra_core::Kernels;

/// Fingerprint of the model that the logits below belong to.
const FINGERPRINT: u32 = 0xcf14_e747;

const LONG: &str = "A long review that goes on, and on, and on. ";

/// Text, how often it is repeated, and the bits of its two logits.
const GOLDEN: [(&str, usize, [u32; 2]); 5] = [
    ("", 1, [0xbf5b_4d28, 0x3f55_7f77]),
    ("ELECTRA is surprisingly fast and accurate.", 1, [0xbffb_a286, 0x3fff_628f]),
    ("The training time was a bit too long for my liking.", 1, [0x3f8d_b588, 0xbf97_3367]),
    ("Crème brûlée, naïve café: «мама мыла раму» 今天天气很好!", 1, [0x3d6f_e4f8, 0xbdf7_e754]),
    (LONG, 20, [0x3e7d_3694, 0xbe9f_b49c]),
];

#[test]
fn every_target_gives_these_logits() {
    let file = ModelFile::open_default().expect("the default model lies in the repository");
    assert_eq!(file.model().fingerprint(), FINGERPRINT, "a new model needs new golden logits");
    for kernels in Kernels::all() {
        for kind in EngineKind::ALL {
            let options = EngineOptions { engine: *kind, kernels: Some(kernels), ..EngineOptions::default() };
            let mut engine = Engine::new(&file, &options).expect("an engine");
            for (text, times, expected) in GOLDEN {
                let mut ids = [0; 512];
                let encoding = file.tokenizer().encode(&text.repeat(times), &mut ids).expect("a short text");
                let logits = engine.run(&ids[..encoding.len]).expect("a run");
                let bits: Vec<u32> = logits.iter().map(|logit| logit.to_bits()).collect();
                assert_eq!(bits, expected, "{text:?}, {} engine, {} kernels", kind.name(), kernels.name());
            }
        }
    }
}
