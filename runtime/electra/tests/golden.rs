//! Logits of the default model that every target, engine and kernel set must reproduce to the bit.
#![forbid(unsafe_code)]

use electra::{Engine, EngineKind, EngineOptions, ModelFile};
use electra_core::Kernels;

/// Fingerprint of the model that the logits below belong to.
const FINGERPRINT: u32 = 0x1af0_9c3a;

const LONG: &str = "A long review that goes on, and on, and on. ";

/// Text, number of repetitions, and the bits of its three logits.
const GOLDEN: [(&str, usize, [u32; 3]); 5] = [
    ("", 1, [0xc002_cdf3, 0x400f_5900, 0xbec4_707d]),
    ("ELECTRA is surprisingly fast and accurate.", 1, [0xbfb8_ebe1, 0xbf9d_7494, 0x400d_e8e4]),
    ("The training time was a bit too long for my liking.", 1, [0x4006_6558, 0xbf9f_1fc8, 0xbf97_d236]),
    ("Crème brûlée, naïve café: «мама мыла раму» 今天天气很好!", 1, [0xbfa7_f25e, 0x3f73_f3d5, 0x3e75_972b]),
    (LONG, 20, [0xbefe_2dbc, 0x3f32_e585, 0xbe46_fc56]),
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
