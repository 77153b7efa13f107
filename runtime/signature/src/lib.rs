//! Verifies the signatures of model files in the format of minisign, without an allocator and
//! without an operating system.
//!
//! A signature is a small text file beside the model, which the program minisign or `electra sign`
//! writes. The format is described at <https://jedisct1.github.io/minisign/>: an Ed25519 signature
//! of the BLAKE2b-512 hash of the file, and a second signature of the first one together with a
//! *trusted comment*.
//!
//! ```
//! use electra_signature::{PublicKey, Signature};
//!
//! let key = PublicKey::parse("RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3")?;
//! let signature = Signature::parse(
//!     "untrusted comment: signature from minisign secret key
//! RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=
//! trusted comment: timestamp:1633700835\tfile:test\tprehashed
//! wLMDjy9FLAuxZ3q4NlEvkgtyhrr0gtTu6KC4KBJdITbbOeAi1zBIYo0v4iTgt8jJpIidRJnp94ABQkJAgAooBQ==",
//! )?;
//! key.verify(b"test", &signature)?;
//! assert!(key.verify(b"Test", &signature).is_err());
//! # Ok::<(), electra_signature::SignatureError>(())
//! ```
//!
//! The feature `small-code` makes the code smaller and the verification slower, for
//! microcontrollers.
#![no_std]
#![forbid(unsafe_code)]

mod error;
#[cfg(test)]
mod tests;

use core::fmt;

use base64ct::{Base64, Encoding};
use blake2::{Blake2b512, Digest};

pub use error::SignatureError;

/// Prefix of the first line of both files.
const UNTRUSTED: &str = "untrusted comment: ";
/// Prefix of the comment that is signed.
const TRUSTED: &str = "trusted comment: ";
/// Algorithm of a key, and of a signature of the file itself.
const ED25519: [u8; 2] = *b"Ed";
/// Algorithm of a signature of the file's hash.
const ED25519_PREHASHED: [u8; 2] = *b"ED";
/// Bytes of a public key: algorithm, id, key.
const KEY_BYTES: usize = 2 + KeyId::BYTES + ed25519_compact::PublicKey::BYTES;
/// Bytes of a signature: algorithm, id of the key, signature.
const SIGNATURE_BYTES: usize = 2 + KeyId::BYTES + ed25519_compact::Signature::BYTES;

/// Tells keys apart. minisign prints it as a hexadecimal number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyId([u8; Self::BYTES]);

impl KeyId {
    const BYTES: usize = 8;
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016X}", u64::from_le_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// A public key.
#[derive(Clone, Copy, Debug)]
pub struct PublicKey {
    id: KeyId,
    key: ed25519_compact::PublicKey,
}

impl PublicKey {
    /// Parses the text of a key file, or its last line alone.
    ///
    /// # Errors
    /// When the text is not a public key of minisign.
    pub fn parse(text: &str) -> Result<Self, SignatureError> {
        let mut lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with(UNTRUSTED));
        let line = lines.next().filter(|_| lines.next().is_none());
        let bytes: [u8; KEY_BYTES] = line.and_then(decode).ok_or(SignatureError::PublicKey)?;
        let (algorithm, rest) = take(&bytes);
        let (id, key) = take(rest);
        let key = ed25519_compact::PublicKey::from_slice(key).map_err(|_| SignatureError::PublicKey)?;
        match algorithm == ED25519 {
            true => Ok(Self { id: KeyId(id), key }),
            false => Err(SignatureError::PublicKey),
        }
    }

    /// Returns the id of the key.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Verifies that the owner of this key signed `message`, the bytes of a file, and the trusted
    /// comment of the signature.
    ///
    /// # Errors
    /// When another key made the signature, or when message or comment are not those that were
    /// signed.
    pub fn verify(&self, message: &[u8], signature: &Signature<'_>) -> Result<(), SignatureError> {
        if signature.key != self.id {
            return Err(SignatureError::OtherKey { found: signature.key, expected: self.id });
        }
        let of_message = ed25519_compact::Signature::new(signature.of_message);
        let verified = match signature.is_prehashed {
            true => self.key.verify(Blake2b512::digest(message), &of_message),
            false => self.key.verify(message, &of_message),
        };
        verified.map_err(|_| SignatureError::Message)?;
        let of_comment = ed25519_compact::Signature::new(signature.of_comment);
        let mut state =
            self.key.verify_incremental(&of_comment).map_err(|_| SignatureError::TrustedComment)?;
        state.absorb(signature.of_message);
        state.absorb(signature.trusted_comment);
        state.verify().map_err(|_| SignatureError::TrustedComment)
    }
}

/// A signature, as read from the text of its file.
#[derive(Clone, Copy, Debug)]
pub struct Signature<'a> {
    key: KeyId,
    is_prehashed: bool,
    of_message: [u8; ed25519_compact::Signature::BYTES],
    trusted_comment: &'a str,
    of_comment: [u8; ed25519_compact::Signature::BYTES],
}

impl<'a> Signature<'a> {
    /// Parses the text of a signature file.
    ///
    /// # Errors
    /// When the text is not a signature of minisign. The error names the line.
    pub fn parse(text: &'a str) -> Result<Self, SignatureError> {
        let mut lines = text.lines();
        let wrong = |line| SignatureError::Signature { line };
        let mut next = |number| lines.next().ok_or(wrong(number));
        next(1)?.strip_prefix(UNTRUSTED).ok_or(wrong(1))?;
        let bytes: [u8; SIGNATURE_BYTES] = decode(next(2)?).ok_or(wrong(2))?;
        let (algorithm, rest) = take(&bytes);
        let (key, of_message) = take(rest);
        let is_prehashed = match algorithm {
            ED25519_PREHASHED => true,
            ED25519 => false,
            _ => return Err(wrong(2)),
        };
        let trusted_comment = next(3)?.strip_prefix(TRUSTED).ok_or(wrong(3))?;
        let of_comment = decode(next(4)?).ok_or(wrong(4))?;
        match lines.all(str::is_empty) {
            true => {
                let (of_message, _) = take(of_message);
                Ok(Self { key: KeyId(key), is_prehashed, of_message, trusted_comment, of_comment })
            }
            false => Err(wrong(5)),
        }
    }

    /// Returns the id of the key that made the signature.
    #[must_use]
    pub fn key(&self) -> KeyId {
        self.key
    }

    /// Returns the comment that is signed. It can be trusted after [`PublicKey::verify`].
    #[must_use]
    pub fn trusted_comment(&self) -> &'a str {
        self.trusted_comment
    }
}

/// Decodes a line of Base64 into exactly `N` bytes.
fn decode<const N: usize>(line: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let found = Base64::decode(line, &mut bytes).ok()?.len();
    (found == N).then_some(bytes)
}

/// Returns the first `N` bytes and the rest. `bytes` has at least `N` bytes.
fn take<const N: usize>(bytes: &[u8]) -> ([u8; N], &[u8]) {
    bytes.split_first_chunk().map_or(([0; N], &[]), |(first, rest)| (*first, rest))
}
