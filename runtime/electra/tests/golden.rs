//! Logits of the default model that every target, engine and kernel set must reproduce to the bit.
#![forbid(unsafe_code)]

use electra::{Engine, EngineKind, EngineOptions, ModelFile};
use electra_core::Kernels;

/// Fingerprint of the model that the logits below belong to.
const FINGERPRINT: u32 = 0x2974_690e;

const LONG: &str = "A long review that goes on, and on, and on. ";

/// Text, number of repetitions, and the bits of its two logits.
const GOLDEN: [(&str, usize, [u32; 2]); 5] = [
    ("", 1, [0xbf13_950c, 0x3f0c_cbcf]),
    ("ELECTRA is surprisingly fast and accurate.", 1, [0xbfed_d707, 0x3fef_0254]),
    ("The training time was a bit too long for my liking.", 1, [0x3fb9_5c5a, 0xbfbe_a61e]),
    ("Crème brûlée, naïve café: «мама мыла раму» 今天天气很好!", 1, [0x3f43_eb8b, 0xbf4c_95e9]),
    (LONG, 20, [0xbdee_e922, 0x3dc7_bbf4]),
];

#[test]
fn every_target_gives_these_logits() {
    let file = ModelFile::open_default().expect("the default model lies in the repository");
    assert_eq!(file.model().fingerprint(), FINGERPRINT, "a new model needs new golden logits");
    for kernels in Kernels::all() {
        for kind in EngineKind::ALL {
            let options = EngineOptions::new().engine(*kind).kernels(kernels);
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
