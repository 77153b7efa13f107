//! `electra sign`.

use std::io::Cursor;
use std::time::{SystemTime, UNIX_EPOCH};

use electra::ModelFile;
use electra_formats::file;
use electra_formats::output_file::{Kind, OutputFile};
use minisign::{PublicKey, SecretKey, SecretKeyBox};

use crate::args::SignArgs;
use crate::failure::Failure;
use crate::output::{Output, one_line};
use crate::trust::signature_of;

pub(crate) fn run(args: &SignArgs) -> Result<(), Failure> {
    let file = ModelFile::open(&args.model)?;
    let path = args.signature.clone().unwrap_or_else(|| signature_of(&args.model));
    let target = OutputFile::new(&path, Kind::Signature)?;
    let key = secret_key(args)?;
    let failed =
        |error: minisign::PError| Failure::run(format_args!("{}: {error}", args.secret_key.display()));
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

fn secret_key(args: &SignArgs) -> Result<SecretKey, Failure> {
    let failed =
        |error: minisign::PError| Failure::run(format_args!("{}: {error}", args.secret_key.display()));
    let text = file::read_text(&args.secret_key).map_err(Failure::run)?;
    let boxed = SecretKeyBox::from_string(&text).map_err(failed)?;
    // The library asks on the terminal for the password of a protected key.
    let password = match &args.password_file {
        Some(path) => {
            let text = file::read_text(path).map_err(Failure::run)?;
            Some(text.lines().next().unwrap_or_default().to_owned())
        }
        None => None,
    };
    match SecretKeyBox::from_string(&text).map_err(failed)?.into_unencrypted_secret_key() {
        Ok(key) => Ok(key),
        Err(_) => boxed.into_secret_key(password).map_err(failed),
    }
}

/// Returns the trusted comment of a model: what it is, and when it was signed.
fn comment(file: &ModelFile) -> String {
    let model = file.model();
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let name = one_line(model.metadata_value("name").unwrap_or("model"));
    let version = model.version().map_or_else(String::new, |version| format!("\tversion:{version}"));
    format!("timestamp:{seconds}\tname:{name}{version}\tfingerprint:{:08x}", model.fingerprint())
}
