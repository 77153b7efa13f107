//! Logits of the default model that every target, engine and kernel set must reproduce to the bit.
#![forbid(unsafe_code)]

use electra::{Engine, EngineKind, EngineOptions, ModelFile};
use electra_core::Kernels;

/// Fingerprint of the model that the logits below belong to.
const FINGERPRINT: u32 = 0xe9a5_83e1;

const LONG: &str = "A long review that goes on, and on, and on. ";

/// Text, number of repetitions, and the bits of its three logits.
const GOLDEN: [(&str, usize, [u32; 3]); 5] = [
    ("", 1, [0xbfd9_6468, 0x3fef_c7c6, 0xbf00_b5fa]),
    ("ELECTRA is surprisingly fast and accurate.", 1, [0xbfa3_5bc8, 0xbf91_e530, 0x4016_088d]),
    ("The training time was a bit too long for my liking.", 1, [0x4004_9e76, 0xbf8a_1af4, 0xbf3b_725b]),
    ("Crème brûlée, naïve café: «мама мыла раму» 今天天气很好!", 1, [0xbf69_67f8, 0x3f89_7a96, 0xbec4_3729]),
    (LONG, 20, [0xbf12_63e7, 0x3f5f_01c2, 0xbef3_578e]),
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
