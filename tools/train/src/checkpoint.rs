//! Folders that appear whole or not at all, among them the checkpoints of a run.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Number of checkpoints that a run keeps. If a disk lost the last one, the user can delete it and
/// continue from the one before.
const KEPT: usize = 2;
const PREFIX: &str = "step-";

/// Creates the folder `path`: fills a temporary folder beside it and renames that. An existing
/// folder is replaced with everything in it, so a caller that got `path` from a user calls
/// [`refuse_foreign`] first. At any time `path` is the old folder, the new folder or, for an
/// instant, absent. It is never incomplete.
pub fn write_folder(path: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    // The target of a link, and no slash at the end, after which a suffix could not be appended.
    let path = &match path.canonicalize() {
        Ok(whole) => whole,
        Err(_) if path.is_symlink() => {
            return Err(Error::field(path, "output", "a broken link", "a folder, or nothing"));
        }
        Err(_) => path.components().collect(),
    };
    if path.exists() && !path.is_dir() {
        return Err(Error::field(path, "output", "a file", "a folder, or nothing"));
    }
    // No other program uses these names, so a folder of that name was left by an interrupted run.
    let temporary = beside(path, "electra-train-writing");
    let replaced = beside(path, "electra-train-replaced");
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(Error::write(parent))?;
    }
    if replaced.exists() && !path.exists() {
        // The process that replaced it ended between its two renames, so this is the only copy.
        fs::rename(&replaced, path).map_err(Error::write(path))?;
    }
    for leftover in [&temporary, &replaced] {
        remove(leftover)?;
    }
    fs::create_dir(&temporary).map_err(Error::write(&temporary))?;
    let filled = fill(&temporary).and_then(|()| sync_files(&temporary));
    if let Err(error) = filled {
        // Frees the space on a disk that may be full. The error above is returned; an error here is
        // ignored.
        let _ = fs::remove_dir_all(&temporary);
        return Err(error);
    }
    let put = || {
        if path.exists() {
            fs::rename(path, &replaced)?;
        }
        fs::rename(&temporary, path)
    };
    if let Err(error) = put() {
        let _ = fs::remove_dir_all(&temporary);
        return Err(Error::write(path)(error));
    }
    if let Some(parent) = path.parent() {
        sync(parent)?;
    }
    remove(&replaced)
}

/// Fails if the folder `path`, which a user named, must not be replaced: if it contains files other
/// than `ours`, is one of `inputs`, or is not a folder. A path that does not exist may be used.
pub fn refuse_foreign(path: &Path, ours: &[&str], inputs: &[&Path]) -> Result<()> {
    let Ok(whole) = path.canonicalize() else { return Ok(()) };
    if inputs.iter().any(|input| input.canonicalize().is_ok_and(|input| input == whole)) {
        return Err(Error::field(path, "output", "the folder that is read", "another one"));
    }
    if !whole.is_dir() {
        return Err(Error::field(path, "output", "a file", "a folder, or nothing"));
    }
    for entry in fs::read_dir(path).map_err(Error::read(path))? {
        let name = entry.map_err(Error::read(path))?.file_name();
        if !ours.iter().any(|it| name == *it) {
            let found = format!("{} in it, which would be lost", name.display());
            return Err(Error::field(path, "output", found, "a new folder, or one that this command wrote"));
        }
    }
    Ok(())
}

/// The checkpoints of one run: folders `step-N` in one folder.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    folder: PathBuf,
}

impl Checkpoints {
    /// Returns the checkpoints in `folder`, which need not exist.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Returns the step and folder of the last checkpoint.
    pub fn last(&self) -> Result<Option<(u64, PathBuf)>> {
        Ok(self.all()?.pop())
    }

    /// Writes the checkpoint of `step` and removes all but the last two.
    pub fn write(&self, step: u64, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        write_folder(&self.folder.join(format!("{PREFIX}{step}")), fill)?;
        let all = self.all()?;
        for (_, folder) in &all[..all.len().saturating_sub(KEPT)] {
            remove(folder)?;
        }
        Ok(())
    }

    /// Fails if `result` exists without any checkpoint: the run would start over and replace it.
    pub fn refuse_ended(&self, result: &Path) -> Result<()> {
        match self.last()? {
            None if result.exists() => {
                let expected = "checkpoints too, or another --output: the run would start over";
                Err(Error::field(result, "run", "a result without checkpoints", expected))
            }
            _ => Ok(()),
        }
    }

    /// Describes the last checkpoint for a message.
    pub fn describe_last(&self) -> String {
        match self.last() {
            Ok(Some((step, folder))) => {
                format!("the checkpoint of step {step} is kept: {}", folder.display())
            }
            _ => "no checkpoint had been written".to_owned(),
        }
    }

    /// Returns the complete checkpoints, ordered by step.
    fn all(&self) -> Result<Vec<(u64, PathBuf)>> {
        if !self.folder.exists() {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(Error::read(&self.folder))? {
            let entry = entry.map_err(Error::read(&self.folder))?;
            let name = entry.file_name();
            let step =
                name.to_str().and_then(|name| name.strip_prefix(PREFIX)).and_then(|it| it.parse().ok());
            if let Some(step) = step {
                found.push((step, entry.path()));
            }
        }
        found.sort();
        Ok(found)
    }
}

/// Returns `path` with `.suffix` appended. [`Checkpoints::all`] does not take that for a
/// checkpoint.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::write(folder)(error)),
        _ => Ok(()),
    }
}

fn sync_files(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(Error::read(folder))? {
        let path = entry.map_err(Error::read(folder))?.path();
        if path.is_dir() {
            sync_files(&path)?;
        } else {
            sync(&path)?;
        }
    }
    sync(folder)
}

fn sync(path: &Path) -> Result<()> {
    let file = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    File::open(file).and_then(|file| file.sync_all()).map_err(Error::write(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write_text(file: &Path, text: &str) -> Result<()> {
        fs::write(file, text).map_err(Error::write(file))
    }

    #[test]
    fn the_last_two_are_kept_and_unfinished_ones_do_not_count() {
        let root = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(root.path().join("checkpoints"));
        assert_eq!(checkpoints.last().unwrap(), None);
        for step in [5, 10, 9] {
            checkpoints.write(step, |folder| write_text(&folder.join("state"), "x")).unwrap();
        }
        fs::create_dir(root.path().join("checkpoints/step-11.electra-train-writing")).unwrap();
        let steps: Vec<u64> = checkpoints.all().unwrap().into_iter().map(|(step, _)| step).collect();
        assert_eq!(steps, [9, 10]);
    }

    #[test]
    fn a_failure_leaves_the_old_folder() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("model");
        write_folder(&path, |folder| write_text(&folder.join("a"), "old")).unwrap();
        let failed = write_folder(&path, |folder| {
            write_text(&folder.join("a"), "new")?;
            Err(Error::field(folder, "a", "nothing", "something"))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read_to_string(path.join("a")).unwrap(), "old");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_is_replaced_where_it_is_ours() {
        let root = tempfile::tempdir().unwrap();
        // With a slash at the end, as completion by the tab key writes it.
        let path = root.path().join("model/");
        let fill = |folder: &Path| write_text(&folder.join("weights"), "x");
        let refuse =
            |inputs: &[&Path]| refuse_foreign(&path, &["weights"], inputs).map_err(|it| it.to_string());
        refuse(&[]).unwrap();
        write_folder(&path, fill).unwrap();
        refuse(&[root.path()]).unwrap();
        write_folder(&path, fill).unwrap();
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
        let error = refuse(&[&root.path().join("../").join(root.path().file_name().unwrap()).join("model")]);
        assert!(error.unwrap_err().contains("found the folder that is read"));
        write_text(&path.join("thesis.txt"), "x").unwrap();
        assert!(refuse(&[]).unwrap_err().contains("found thesis.txt in it, which would be lost"));

        #[cfg(unix)]
        {
            let (link, dangling) = (root.path().join("link"), root.path().join("dangling"));
            fs::create_dir(root.path().join("linked")).unwrap();
            std::os::unix::fs::symlink("linked", &link).unwrap();
            std::os::unix::fs::symlink("nothing", &dangling).unwrap();
            write_folder(&link, fill).unwrap();
            assert!(link.is_symlink() && root.path().join("linked/weights").exists());
            assert!(write_folder(&dangling, fill).unwrap_err().to_string().contains("found a broken link"));
        }
        let file = root.path().join("file");
        write_text(&file, "x").unwrap();
        assert!(refuse_foreign(&file, &[], &[]).unwrap_err().to_string().contains("found a file"));
        assert!(write_folder(&file, fill).unwrap_err().to_string().contains("found a file"));
        assert_eq!(fs::read_to_string(&file).unwrap(), "x");
    }

    /// A process that was killed between its two renames leaves the old folder beside its place.
    #[test]
    fn the_only_copy_is_brought_back() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("model");
        let replaced = root.path().join("model.electra-train-replaced");
        fs::create_dir(&replaced).unwrap();
        write_text(&replaced.join("a"), "old").unwrap();
        let failed = write_folder(&path, |folder| Err(Error::field(folder, "a", "nothing", "something")));
        assert!(failed.is_err());
        assert_eq!(fs::read_to_string(path.join("a")).unwrap(), "old");
    }
}
