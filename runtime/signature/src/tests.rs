extern crate std;

use std::format;
use std::io::Cursor;
use std::string::{String, ToString};
use std::vec::Vec;

use minisign::KeyPair;
use proptest::prelude::*;

use super::*;

/// The keys and signatures of these tests are made by the crate minisign.
fn signed(message: &[u8], comment: &str) -> (String, String) {
    let KeyPair { pk, sk } = KeyPair::generate_unencrypted_keypair().unwrap();
    let signature = minisign::sign(Some(&pk), &sk, Cursor::new(message), Some(comment), None).unwrap();
    (pk.to_box().unwrap().to_string(), signature.to_string())
}

fn verify(key: &str, message: &[u8], signature: &str) -> Result<(), SignatureError> {
    PublicKey::parse(key)?.verify(message, &Signature::parse(signature)?)
}

#[test]
fn the_words_of_the_owner_and_no_others() {
    let (key, signature) = signed(b"a model", "version 3");
    assert_eq!(verify(&key, b"a model", &signature), Ok(()));
    assert_eq!(Signature::parse(&signature).unwrap().trusted_comment(), "version 3");
    assert_eq!(verify(&key, b"a Model", &signature), Err(SignatureError::Message));
    assert_eq!(verify(&key, b"", &signature), Err(SignatureError::Message));
    let changed = signature.replace("version 3", "version 4");
    assert_eq!(verify(&key, b"a model", &changed), Err(SignatureError::TrustedComment));
    let (other, _) = signed(b"", "");
    assert!(matches!(verify(&other, b"a model", &signature), Err(SignatureError::OtherKey { .. })));
}

#[test]
fn the_id_is_the_one_that_minisign_prints() {
    let (key, signature) = signed(b"", "");
    let key_id = PublicKey::parse(&key).unwrap().id().to_string();
    assert!(key.lines().next().unwrap().ends_with(&key_id), "{key}: {key_id}");
    assert_eq!(Signature::parse(&signature).unwrap().key().to_string(), key_id);
}

#[test]
fn an_id_has_sixteen_digits() {
    // minisign 0.11 made this key.
    let key = "untrusted comment: minisign public key D10E637137038C1\n\
               RWTBOHATN+YQDWiokly073rMTPJVCdYwWpYbqKyRcu99G7j9eQqo/tcc\n";
    assert_eq!(PublicKey::parse(key).unwrap().id().to_string(), "0D10E637137038C1");
}

/// Every change of a single character is refused, except for characters of the untrusted comment.
#[test]
fn every_changed_character_is_refused() {
    let message = b"a model";
    let (key, signature) = signed(message, "a comment");
    let start = signature.find('\n').unwrap();
    for at in start..signature.len() {
        for replacement in ['A', 'B', '=', '\n', ' '] {
            let changed: String = signature
                .char_indices()
                .map(|(index, c)| if index == at { replacement } else { c })
                .collect();
            if changed.trim_end() != signature.trim_end() {
                assert!(verify(&key, message, &changed).is_err(), "{at} {replacement:?}");
            }
        }
        assert!(at + 1 >= signature.trim_end().len() || verify(&key, message, &signature[..at]).is_err());
    }
}

#[test]
fn keys_are_refused_if_they_are_none() {
    let (key, _) = signed(b"", "");
    let line = key.lines().nth(1).unwrap();
    assert!(PublicKey::parse(line).is_ok());
    for wrong in ["", "untrusted comment: x", &line[1..], &format!("{line}A"), &format!("{line}\n{line}")] {
        assert_eq!(PublicKey::parse(wrong).err(), Some(SignatureError::PublicKey), "{wrong:?}");
    }
}

/// Without a check, this signature would verify with this key for every file: both are made of the
/// neutral element of the curve, a point of small order.
#[test]
fn a_key_of_small_order_verifies_nothing() {
    let encoded = |bytes: &[u8]| {
        let mut text = [0; 128];
        Base64::encode(bytes, &mut text).unwrap().to_string()
    };
    let mut neutral = [0u8; 32];
    neutral[0] = 1;
    let id = [7u8; 8];
    let key = encoded(&[&b"Ed"[..], &id, &neutral].concat());
    let forged = [&neutral[..], &[0; 32]].concat();
    let of_message = encoded(&[&b"ED"[..], &id, &forged].concat());
    let signature = format!("untrusted comment: x\n{of_message}\ntrusted comment: y\n{}\n", encoded(&forged));
    // The key has the right form, and the signature is by its id.
    assert_eq!(PublicKey::parse(&key).unwrap().id(), Signature::parse(&signature).unwrap().key());
    assert_eq!(verify(&key, b"any file", &signature), Err(SignatureError::Message));
}

proptest! {
    /// The crate minisign-verify decides in the same way.
    #[test]
    fn another_implementation_agrees(message: Vec<u8>, flip in 0usize..10_000) {
        let (key, signature) = signed(&message, "comment");
        let theirs = |message: &[u8], signature: &str| {
            let key = minisign_verify::PublicKey::decode(&key).unwrap();
            minisign_verify::Signature::decode(signature)
                .is_ok_and(|signature| key.verify(message, &signature, true).is_ok())
        };
        prop_assert!(theirs(&message, &signature) && verify(&key, &message, &signature).is_ok());
        let mut changed = message.clone();
        if let Some(byte) = changed.get_mut(flip % message.len().max(1)) {
            *byte ^= 1;
            prop_assert!(!theirs(&changed, &signature) && verify(&key, &changed, &signature).is_err());
        }
    }

    #[test]
    fn no_text_panics(text: String, key in "[A-Za-z0-9+/=]{50,60}", lines in "[A-Za-z0-9+/=\n]{0,200}") {
        let _ = (PublicKey::parse(&text), PublicKey::parse(&key), Signature::parse(&text));
        let _ = Signature::parse(&format!("untrusted comment: x\n{lines}"));
    }
}
