//! Reads arbitrary text as a public key and as a signature, and verifies one with the other. The
//! key and the signature are divided by the first empty line.
#![no_main]

use electra_signature::{PublicKey, Signature};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = str::from_utf8(data) else { return };
    let (key, signature) = text.split_once("\n\n").unwrap_or((text, text));
    let (key, signature) = (PublicKey::parse(key), Signature::parse(signature));
    if let (Ok(key), Ok(signature)) = (key, signature) {
        // The seed is a signature of this message.
        _ = key.verify(b"test", &signature);
    }
});
