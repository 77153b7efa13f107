//! Logits of the default model that every target, engine and kernel set must reproduce to the bit.
#![forbid(unsafe_code)]

use electra::{Engine, EngineKind, EngineOptions, ModelFile};
use electra_core::Kernels;

/// Fingerprint of the model that the logits below belong to.
const FINGERPRINT: u32 = 0xe92c_eed0;

const LONG: &str = "A long review that goes on, and on, and on. ";

/// Text, number of repetitions, and the bits of its three logits.
const GOLDEN: [(&str, usize, [u32; 3]); 5] = [
    ("", 1, [0xbfc3_a406, 0x3fd0_0ca7, 0xbecf_bc4b]),
    ("ELECTRA is surprisingly fast and accurate.", 1, [0xbfac_29d4, 0xbf83_c311, 0x4013_b33b]),
    ("The training time was a bit too long for my liking.", 1, [0x400e_ba9f, 0xbf70_d850, 0xbf81_2cde]),
    ("Crème brûlée, naïve café: «мама мыла раму» 今天天气很好!", 1, [0xbfcb_2025, 0x3f8b_cec6, 0x3e5a_5463]),
    (LONG, 20, [0x3eab_470c, 0x3f46_3a20, 0xbf98_3f47]),
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
