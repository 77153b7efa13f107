//! `electra verify`.

use electra::ModelFile;

use crate::args::VerifyArgs;
use crate::failure::Failure;
use crate::output::{Output, one_line};
use crate::trust::RequiredKey;

pub(crate) fn run(args: &VerifyArgs) -> Result<(), Failure> {
    let key = RequiredKey::named(args.public_key.as_ref())?;
    let key = key.ok_or_else(|| {
        Failure::Usage("--public-key is missing, and ELECTRA_PUBLIC_KEY names no key".to_owned())
    })?;
    let file = ModelFile::open(&args.model)?;
    let comment = key.verify(&file, args.signature.as_deref())?;
    let mut output = Output::new();
    let path = args.model.display();
    output.line(&format!("{path}: the signature is right; trusted comment: {}", one_line(&comment)), 0)?;
    Ok(output.finish()?)
}
