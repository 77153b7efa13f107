//! `electra update`.

use std::path::Path;

use electra::{EngineOptions, Error, ModelFile};

use crate::args::{UpdateArgs, open_model};
use crate::failure::Failure;
use crate::output::{Output, one_line};
use crate::trust::{RequiredKey, Target, signature_of};

pub(crate) fn run(args: &UpdateArgs) -> Result<(), Failure> {
    let key = RequiredKey::named(args.public_key.as_ref())?;
    let path = match &args.model {
        Some(path) => path.clone(),
        None => open_model(None)?.path().to_path_buf(),
    };
    let target = Target::new(&path);
    let previous = target.previous();
    // A damaged model can be replaced, so an error is none.
    let current = ModelFile::open(&path).ok();
    let new = match &args.new {
        Some(new) => new,
        None if previous.exists() => &previous,
        None => {
            return Err(Failure::run(format_args!(
                "{}: no such file: no update has kept a previous model",
                previous.display()
            )));
        }
    };
    let signature = args.signature.clone().unwrap_or_else(|| signature_of(new));
    // All checks read the copy, so nobody can change the file after them.
    let replacement = target.stage(new, &signature)?;
    let opened =
        ModelFile::open(replacement.path()).map_err(|error| named(&replacement.path(), new, &error))?;
    if let Some(key) = &key {
        key.verify(&opened, None).map_err(|failure| renamed(&replacement.path(), new, failure))?;
    }
    if let Some(current) = &current {
        expect_compatible(args, current, &opened, new)?;
    }
    match electra::self_test(&opened, &EngineOptions::new()) {
        Ok(_) => {}
        // The model was in use before.
        Err(Error::NoGolden { .. }) if args.rollback => {}
        Err(error) => return Err(named(&replacement.path(), new, &error)),
    }
    replacement.finish()?;
    let mut lines = vec![format!("{}: {} is in use now", path.display(), described(&opened))];
    lines.push(match current {
        Some(current) => {
            format!("{}: {} is kept; --rollback returns to it", previous.display(), described(&current))
        }
        None => "there was no intact model before".to_owned(),
    });
    let mut output = Output::new();
    output.line(&lines.join("\n"), 0)?;
    Ok(output.finish()?)
}

/// Refuses a model that programs cannot use in place of the current one.
fn expect_compatible(
    args: &UpdateArgs,
    current: &ModelFile,
    new: &ModelFile,
    path: &Path,
) -> Result<(), Failure> {
    let heads = [current, new].map(|file| file.model().config().head);
    if heads[0] != heads[1] {
        return Err(Failure::run(format_args!(
            "{}: the model has a head for {}, expected one for {}, as the model in use has",
            path.display(),
            heads[1],
            heads[0]
        )));
    }
    let labels = [current, new].map(|file| one_line(&file.model().labels().collect::<Vec<_>>().join(", ")));
    if labels[0] != labels[1] && !args.allow_other_labels {
        return Err(Failure::run(format_args!(
            "{}: the model has the labels {}, expected {}, as the model in use has; --allow-other-labels \
             permits it",
            path.display(),
            labels[1],
            labels[0]
        )));
    }
    let versions = [current, new].map(|file| file.model().version().unwrap_or(0));
    if versions[1] < versions[0] && !args.allow_downgrade && !args.rollback {
        return Err(Failure::run(format_args!(
            "{}: the model has version {}, expected at least {}, that of the model in use; --allow-downgrade \
             permits it",
            path.display(),
            versions[1],
            versions[0]
        )));
    }
    Ok(())
}

fn described(file: &ModelFile) -> String {
    let model = file.model();
    let name = one_line(model.metadata_value("name").unwrap_or("a model"));
    let version =
        model.version().map_or_else(|| "no version".to_owned(), |version| format!("version {version}"));
    format!("{name}, {version}, fingerprint {:08x}", model.fingerprint())
}

/// Returns the error with the path that the user named instead of that of the copy.
fn named(copy: &Path, path: &Path, error: &Error) -> Failure {
    renamed(copy, path, Failure::run(error))
}

fn renamed(copy: &Path, path: &Path, failure: Failure) -> Failure {
    let (copy, path) = (copy.display().to_string(), path.display().to_string());
    match failure {
        Failure::Run(message) => Failure::Run(message.replace(&copy, &path)),
        other => other,
    }
}
