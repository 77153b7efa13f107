//! Logits of the default model that every target, engine and kernel set must reproduce to the bit.
#![forbid(unsafe_code)]

use electra::{Engine, EngineKind, EngineOptions, ModelFile};
use electra_core::Kernels;

/// Fingerprint of the model that the logits below belong to.
const FINGERPRINT: u32 = 0xace5_d637;

const LONG: &str = "A long review that goes on, and on, and on. ";

/// Text, number of repetitions, and the bits of its three logits.
const GOLDEN: [(&str, usize, [u32; 3]); 5] = [
    ("", 1, [0xc002_3613, 0x400f_8d4d, 0xbec8_ecc1]),
    ("ELECTRA is surprisingly fast and accurate.", 1, [0xbfb8_1151, 0xbf9e_ab10, 0x400e_19bd]),
    ("The training time was a bit too long for my liking.", 1, [0x4006_382a, 0xbf9e_6afa, 0xbf98_3889]),
    ("Crème brûlée, naïve café: «мама мыла раму» 今天天气很好!", 1, [0xbfa5_ed4e, 0x3f70_6309, 0x3e76_a019]),
    (LONG, 20, [0xbf02_dad5, 0x3f32_f051, 0xbe3b_10b9]),
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
