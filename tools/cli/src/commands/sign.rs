//! `electra sign`.

use std::io::Cursor;
use std::time::{SystemTime, UNIX_EPOCH};

use base64ct::{Base64, Encoding};
use electra::ModelFile;
use electra_formats::file;
use electra_formats::output_file::{Kind, OutputFile};
use minisign::{PError, PublicKey, SecretKey, SecretKeyBox};

use crate::args::SignArgs;
use crate::failure::Failure;
use crate::output::{Output, one_line};
use crate::trust::signature_of;

pub(crate) fn run(args: &SignArgs) -> Result<(), Failure> {
    let file = ModelFile::open(&args.model)?;
    let path = args.signature.clone().unwrap_or_else(|| signature_of(&args.model));
    let target = OutputFile::new(&path, Kind::Signature)?;
    let key = secret_key(args)?;
    let failed = |error: PError| Failure::run(format_args!("{}: {error}", args.secret_key.display()));
    let comment = args.comment.clone().unwrap_or_else(|| comment(&file));
    if comment.contains(['\n', '\r']) {
        return Err(Failure::Usage("--comment has a line break, expected one line".to_owned()));
    }
    let public = PublicKey::from_secret_key(&key).map_err(failed)?;
    let bytes = Cursor::new(file.model().bytes());
    let signature = minisign::sign(Some(&public), &key, bytes, Some(&comment), None).map_err(failed)?;
    target.write(signature.into_string().as_bytes())?;
    let mut output = Output::new();
    output.line(&format!("{}: signed; trusted comment: {}", path.display(), one_line(&comment)), 0)?;
    Ok(output.finish()?)
}

/// Bytes of the algorithms before the salt of a key; the second one protects the key.
const ALGORITHMS: usize = 6;
/// Bytes of the checksum at the end of a key.
const CHECKSUM: usize = 32;

fn secret_key(args: &SignArgs) -> Result<SecretKey, Failure> {
    let failed = |error: PError| Failure::run(format_args!("{}: {error}", args.secret_key.display()));
    let text = file::read_text(&args.secret_key).map_err(Failure::run)?;
    let key_box = || SecretKeyBox::from_string(&text).map_err(failed);
    if !is_protected(&text) {
        return match without_checksum(&text) {
            Some(key) => Ok(key),
            None => key_box()?.into_unencrypted_secret_key().map_err(failed),
        };
    }
    let password = match &args.password_file {
        Some(path) => {
            let text = file::read_text(path).map_err(Failure::run)?;
            Some(text.lines().next().unwrap_or_default().to_owned())
        }
        // The library asks on the terminal.
        None => None,
    };
    key_box()?.into_secret_key(password).map_err(failed)
}

/// Returns the bytes of a key file, if it has any.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let mut bytes = vec![0; 1024];
    let found = Base64::decode(text.lines().nth(1)?, &mut bytes).ok()?.len();
    bytes.truncate(found);
    Some(bytes).filter(|bytes| bytes.len() > ALGORITHMS + CHECKSUM)
}

/// Returns whether a key is protected by a password.
fn is_protected(text: &str) -> bool {
    bytes(text).is_none_or(|bytes| bytes[2..4] != [0, 0])
}

/// Returns a key that is not protected and has no checksum, as `minisign -W` writes it.
fn without_checksum(text: &str) -> Option<SecretKey> {
    let bytes = bytes(text)?;
    let has_checksum = bytes[bytes.len() - CHECKSUM..].iter().any(|byte| *byte != 0);
    SecretKey::from_bytes(&bytes).ok().filter(|_| !has_checksum)
}

/// Returns the trusted comment of a model: what it is, and when it was signed.
fn comment(file: &ModelFile) -> String {
    let model = file.model();
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let name = one_line(model.metadata_value("name").unwrap_or("model"));
    let version = model.version().map_or_else(String::new, |version| format!("\tversion:{version}"));
    format!("timestamp:{seconds}\tname:{name}{version}\tfingerprint:{:08x}", model.fingerprint())
}
