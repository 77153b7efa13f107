//! Errors of keys and signatures.

use core::fmt;

use crate::KeyId;

/// A key or a signature that cannot be used, or a signature that does not belong to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignatureError {
    /// The text is not a public key.
    PublicKey,
    /// The text is not a signature.
    Signature {
        /// Number of the first line that is wrong or missing, from 1.
        line: usize,
    },
    /// Another key made the signature.
    OtherKey {
        /// The key that made the signature.
        found: KeyId,
        /// The key that was to verify it.
        expected: KeyId,
    },
    /// The file is not the one that was signed.
    Message,
    /// The trusted comment is not the one that was signed.
    TrustedComment,
}

impl fmt::Display for SignatureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PublicKey => f.write_str("not a public key, expected a key file of minisign"),
            Self::Signature { line } => {
                write!(f, "not a signature, expected a signature file of minisign: line {line} is wrong")
            }
            Self::OtherKey { found, expected } => {
                write!(f, "the signature is by the key {found}, expected one by the key {expected}")
            }
            Self::Message => f.write_str("the signature belongs to another file, or the file was changed"),
            Self::TrustedComment => f.write_str("the trusted comment of the signature was changed"),
        }
    }
}

impl core::error::Error for SignatureError {}
