//! Replaces a model file and its signature. A power cut at any moment leaves a whole model with its
//! signature.
//!
//! The model is replaced by one renaming. Its signature is a file of its own, so the new signature
//! is put into a second place before, where [`super::RequiredKey::verify`] looks as well.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use electra_formats::file;

use super::key::{next_signature_of, signature_of, with_suffix};
use crate::failure::Failure;

/// A model file that is used, and the files beside it.
#[derive(Clone)]
pub(crate) struct Target(PathBuf);

/// A new model that lies beside the one in use. It is removed when it is dropped, unless it has
/// replaced the model.
pub(crate) struct Replacement {
    target: Target,
    /// Keeps other updates away while it is open.
    _lock: File,
    is_signed: bool,
}

/// One change of the file system.
type Step = Box<dyn FnOnce() -> io::Result<()>>;

impl Target {
    pub(crate) fn new(model: &Path) -> Self {
        Self(model.to_path_buf())
    }

    /// Returns the path of the model that the last replacement replaced.
    pub(crate) fn previous(&self) -> PathBuf {
        with_suffix(&self.0, ".previous")
    }

    /// Returns the path of a new model before it replaces the old one.
    fn staged(&self) -> PathBuf {
        with_suffix(&self.0, ".new")
    }

    fn folder(&self) -> &Path {
        match self.0.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        }
    }

    fn failed(&self) -> impl Fn(io::Error) -> Failure + use<> {
        let path = self.0.clone();
        move |error| Failure::run(format_args!("{}: {error}", path.display()))
    }

    /// Copies a new model and its signature, which may be missing, to the folder of the target.
    ///
    /// # Errors
    /// Fails if another update is running, or if a file cannot be read or written.
    pub(crate) fn stage(&self, new: &Path, signature: &Path) -> Result<Replacement, Failure> {
        let signature = match signature.exists() {
            true => Some(file::read_bytes(signature, 1 << 16).map_err(Failure::run)?),
            false => None,
        };
        let source = file::open(new, u64::MAX).map_err(Failure::run)?;
        let failed = self.failed();
        // The lock is on the folder: a lock on the new model would move with it.
        let lock = File::open(self.folder()).map_err(&failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::run(format_args!("{}: another update is running", self.0.display())));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        self.recover().map_err(&failed)?;
        let replacement = Replacement { target: self.clone(), _lock: lock, is_signed: signature.is_some() };
        replacement.write(source, signature.as_deref()).map_err(&failed)?;
        Ok(replacement)
    }

    /// Ends an update that was interrupted while the new signature was in its second place. If the
    /// new model is still beside the one in use, it has not replaced it.
    fn recover(&self) -> io::Result<()> {
        let (signature, next) = (signature_of(&self.0), next_signature_of(&self.0));
        match (next.exists(), self.staged().exists()) {
            (true, true) => fs::remove_file(next),
            (true, false) => fs::rename(next, signature),
            (false, _) => Ok(()),
        }
    }
}

impl Replacement {
    /// Returns the path of the new model. Its signature lies beside it.
    pub(crate) fn path(&self) -> PathBuf {
        self.target.staged()
    }

    fn write(&self, mut source: impl io::Read, signature: Option<&[u8]>) -> io::Result<()> {
        let mut copy = File::create(self.path())?;
        io::copy(&mut source, &mut copy)?;
        if let Ok(metadata) = fs::metadata(&self.target.0) {
            copy.set_permissions(metadata.permissions())?;
        }
        copy.sync_all()?;
        let path = signature_of(&self.path());
        match signature {
            Some(bytes) => write_synced(&path, bytes),
            None => remove(&path),
        }
    }

    /// Replaces the model in use, and keeps it as the previous one.
    ///
    /// # Errors
    /// Fails if a file cannot be changed. The model in use is then the old or the new one.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        self.steps().into_iter().try_for_each(|step| step()).map_err(self.target.failed())
    }

    /// Returns the changes in their order.
    fn steps(&self) -> Vec<Step> {
        let model = self.target.0.clone();
        let (staged, staged_signature) = (self.path(), signature_of(&self.path()));
        let (signature, next) = (signature_of(&model), next_signature_of(&model));
        let (previous, folder) = (self.target.previous(), self.target.folder().to_path_buf());
        let sync = move || -> Step {
            let folder = folder.clone();
            Box::new(move || sync_folder(&folder))
        };
        let mut steps: Vec<Step> = Vec::new();
        if model.exists() {
            let (from, kept) = (model.clone(), with_suffix(&previous, ".new"));
            let to = kept.clone();
            steps.push(Box::new(move || {
                remove(&to)?;
                // A file system without links gets a copy.
                fs::hard_link(&from, &to).or_else(|_| copy_synced(&from, &to))
            }));
            let (from, to) = (signature.clone(), signature_of(&previous));
            steps.push(Box::new(move || {
                fs::rename(&kept, previous)?;
                // Renaming does nothing if both names belong to the same file already.
                remove(&kept)
            }));
            steps.push(Box::new(move || if from.exists() { copy_synced(&from, &to) } else { remove(&to) }));
        }
        let is_signed = self.is_signed;
        let to = next.clone();
        steps.push(Box::new(move || if is_signed { fs::rename(staged_signature, to) } else { Ok(()) }));
        steps.push(sync());
        steps.push(Box::new(move || fs::rename(staged, model)));
        steps.push(sync());
        steps
            .push(Box::new(move || if is_signed { fs::rename(next, signature) } else { remove(&signature) }));
        steps.push(sync());
        steps
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        // After a replacement there is nothing to remove. If this fails, the next update removes
        // it.
        let staged = self.path();
        for path in [next_signature_of(&self.target.0), signature_of(&staged)] {
            let (Ok(()) | Err(_)) = if staged.exists() { remove(&path) } else { Ok(()) };
        }
        let (Ok(()) | Err(_)) = remove(&staged);
    }
}

/// Removes a file that may be missing.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Writes a small file as a whole.
fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let partial = with_suffix(path, ".partial");
    let mut file = File::create(&partial)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(partial, path)
}

fn copy_synced(from: &Path, to: &Path) -> io::Result<()> {
    let partial = with_suffix(to, ".partial");
    fs::copy(from, &partial)?;
    File::open(&partial)?.sync_all()?;
    fs::rename(partial, to)
}

/// Makes the changes of names in a folder permanent.
fn sync_folder(folder: &Path) -> io::Result<()> {
    match cfg!(unix) {
        true => File::open(folder)?.sync_all(),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the model and the signature in each place where it is looked for.
    fn found(model: &Path) -> (String, Vec<String>) {
        let read = |path: PathBuf| fs::read_to_string(path).ok();
        let signatures = [signature_of(model), next_signature_of(model)];
        (read(model.to_path_buf()).expect("a model"), signatures.into_iter().filter_map(read).collect())
    }

    /// A power cut after each step, and then another update: the model is always whole, and its
    /// signature is in one of the two places.
    #[test]
    fn a_power_cut_after_any_step_leaves_a_model_with_its_signature() {
        let steps = {
            let (_folder, _, replacement) = staged();
            replacement.steps().len()
        };
        assert!(steps > 6, "{steps}");
        for cut in 0..=steps {
            let (folder, model, replacement) = staged();
            for step in replacement.steps().into_iter().take(cut) {
                step().expect("done");
            }
            // A power cut runs no destructor. The lock ends with the process.
            let lock = replacement._lock.try_clone().expect("a handle");
            std::mem::forget(replacement);
            lock.unlock().expect("unlocked");
            let (content, signatures) = found(&model);
            assert!(["model 1", "model 2"].contains(&&*content), "{cut}: {content}");
            assert!(
                signatures.contains(&content.replace("model", "signature")),
                "{cut}: {content} {signatures:?}"
            );

            let (new, signature) = (folder.path().join("new3"), folder.path().join("signature3"));
            fs::write(&new, "model 3").expect("written");
            fs::write(&signature, "signature 3").expect("written");
            let target = Target::new(&model);
            target.stage(&new, &signature).expect("staged").finish().expect("replaced");
            assert_eq!(found(&model), ("model 3".to_owned(), vec!["signature 3".to_owned()]), "{cut}");
            let (before, signatures) = found(&target.previous());
            assert_eq!((before, signatures), (content.clone(), vec![content.replace("model", "signature")]));
            // Model, previous model and their signatures, and the two pairs of new files.
            assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 8, "{cut}");
        }
    }

    fn staged() -> (tempfile::TempDir, PathBuf, Replacement) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        for (name, content) in [
            ("m", "model 1"),
            ("m.minisig", "signature 1"),
            ("new2", "model 2"),
            ("signature2", "signature 2"),
        ] {
            fs::write(path(name), content).expect("written");
        }
        let model = path("m");
        let replacement = Target::new(&model).stage(&path("new2"), &path("signature2")).expect("staged");
        (folder, model, replacement)
    }

    #[test]
    fn an_update_that_is_given_up_leaves_nothing_and_two_do_not_run_together() {
        let (folder, model, replacement) = staged();
        let other = Target::new(&model).stage(&folder.path().join("new2"), &folder.path().join("none"));
        assert!(
            other.err().is_some_and(|failure| format!("{failure:?}").contains("another update is running"))
        );
        drop(replacement);
        assert_eq!(found(&model), ("model 1".to_owned(), vec!["signature 1".to_owned()]));
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 4);
        // Without a signature, the old one does not stay.
        let target = Target::new(&model);
        target
            .stage(&folder.path().join("new2"), &folder.path().join("none"))
            .expect("staged")
            .finish()
            .expect("done");
        assert_eq!(found(&model), ("model 2".to_owned(), vec![]));
        assert_eq!(found(&target.previous()), ("model 1".to_owned(), vec!["signature 1".to_owned()]));
    }
}
