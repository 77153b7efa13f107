//! Keys and signatures in the format of minisign.
#![allow(dead_code, reason = "each file of tests uses a part of it")]

use std::fs;
use std::io::Cursor;
use std::path::Path;

use minisign::KeyPair;

/// A pair of keys, of which the public one lies in a file.
pub struct Keys {
    pair: KeyPair,
    /// Path of the public key.
    pub public: String,
    /// Path of the secret key, which has no password.
    pub secret: String,
}

impl Keys {
    /// Makes keys and writes them to `folder`.
    pub fn new(folder: &Path, name: &str) -> Self {
        let pair = KeyPair::generate_unencrypted_keypair().expect("keys");
        let path = |ending: &str| folder.join(format!("{name}.{ending}")).to_str().expect("UTF-8").to_owned();
        let (public, secret) = (path("pub"), path("key"));
        fs::write(&public, pair.pk.to_box().expect("a key").to_string()).expect("written");
        fs::write(&secret, pair.sk.to_box(None).expect("a key").to_string()).expect("written");
        Self { pair, public, secret }
    }

    /// Signs a file. The signature lies beside it.
    pub fn sign(&self, file: &str) {
        let bytes = Cursor::new(fs::read(file).expect("readable"));
        let signature = minisign::sign(Some(&self.pair.pk), &self.pair.sk, bytes, Some("a test"), None);
        fs::write(format!("{file}.minisig"), signature.expect("signed").into_string()).expect("written");
    }
}
