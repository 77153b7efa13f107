//! Logits of the default model that every target, engine and kernel set must reproduce to the bit.
#![forbid(unsafe_code)]

use electra::{Engine, EngineKind, EngineOptions, ModelFile};
use electra_core::Kernels;

/// Fingerprint of the model that the logits below belong to.
const FINGERPRINT: u32 = 0xe847_2518;

const LONG: &str = "A long review that goes on, and on, and on. ";

/// Text, number of repetitions, and the bits of its three logits.
const GOLDEN: [(&str, usize, [u32; 3]); 5] = [
    ("", 1, [0xbfe0_3296, 0x3ff9_46f9, 0xbeba_4532]),
    ("ELECTRA is surprisingly fast and accurate.", 1, [0xbfb6_8e4a, 0xbf98_e5dc, 0x400a_7ba5]),
    ("The training time was a bit too long for my liking.", 1, [0x3ff6_8e03, 0xbf8d_7c52, 0xbf8b_e225]),
    ("Crème brûlée, naïve café: «мама мыла раму» 今天天气很好!", 1, [0xbfb1_29d5, 0x3f64_ec44, 0x3eb3_0e2a]),
    (LONG, 20, [0xbea3_988e, 0x3f02_2664, 0xbe21_c67b]),
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
