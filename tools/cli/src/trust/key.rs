//! The public key with which the signatures of model files are verified.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use electra::ModelFile;
use electra_formats::file;
use electra_signature::{PublicKey, Signature, SignatureError};

use crate::failure::Failure;

/// Variable that names the file of a required key.
const VARIABLE: &str = "ELECTRA_PUBLIC_KEY";
/// Largest signature file that is read, in bytes.
const MAX_SIGNATURE: u64 = 1 << 16;

/// Returns the usual path of the signature of a model file: the path of the model with `.minisig`
/// added, as minisign chooses it.
pub(crate) fn signature_of(model: &Path) -> PathBuf {
    with_suffix(model, ".minisig")
}

/// Returns the path of the signature that replaces the one of [`signature_of`]. Between the
/// replacement of a model and that of its signature, the signature of the model is there.
pub(crate) fn next_signature_of(model: &Path) -> PathBuf {
    with_suffix(model, ".minisig.next")
}

pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// A public key by which models must be signed.
#[derive(Clone)]
pub(crate) struct RequiredKey {
    path: PathBuf,
    key: PublicKey,
}

impl RequiredKey {
    /// Reads a key file.
    ///
    /// # Errors
    /// Fails if the file cannot be read or is not a public key.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let text = file::read_text(path).map_err(Failure::run)?;
        let key = PublicKey::parse(&text)
            .map_err(|error| Failure::run(format_args!("{}: {error}", path.display())))?;
        Ok(Self { path: path.to_path_buf(), key })
    }

    /// Reads the key that an option or the environment names, if one of them does.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(crate) fn named(option: Option<&PathBuf>) -> Result<Option<Self>, Failure> {
        let named = option
            .cloned()
            .or_else(|| env::var_os(VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from));
        named.as_deref().map(Self::read).transpose()
    }

    /// Verifies the signature of a model file and returns its trusted comment. Without `signature`,
    /// it lies beside the model.
    ///
    /// # Errors
    /// Fails if there is no signature, or if it is not one of this file by this key.
    pub(crate) fn verify(&self, model: &ModelFile, signature: Option<&Path>) -> Result<String, Failure> {
        let path = model.path();
        let candidates = match signature {
            Some(signature) => vec![signature.to_path_buf()],
            None => vec![signature_of(path), next_signature_of(path)],
        };
        let mut first = None;
        for candidate in &candidates {
            match self.verify_with(model, candidate) {
                Ok(comment) => return Ok(comment),
                Err(failure) => first.get_or_insert(failure),
            };
        }
        Err(first.unwrap_or_else(|| Failure::run("no signature")))
    }

    fn verify_with(&self, model: &ModelFile, signature: &Path) -> Result<String, Failure> {
        let text = match fs::symlink_metadata(signature) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Failure::run(format_args!(
                    "{}: the model has no signature in {}, expected one by the key of {}; `electra sign` or \
                     minisign makes it",
                    model.path().display(),
                    signature.display(),
                    self.path.display()
                )));
            }
            _ => String::from_utf8(file::read_bytes(signature, MAX_SIGNATURE).map_err(Failure::run)?),
        };
        let wrong = |error: SignatureError| Failure::run(format_args!("{}: {error}", signature.display()));
        let text = text.map_err(|_| wrong(SignatureError::Signature { line: 1 }))?;
        let signature = Signature::parse(&text).map_err(wrong)?;
        self.key
            .verify(model.model().bytes(), &signature)
            .map_err(|error| Failure::run(format_args!("{}: {error}", model.path().display())))?;
        Ok(signature.trusted_comment().to_owned())
    }
}
