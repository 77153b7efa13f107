//! Folders that appear whole or not at all, and the checkpoints of a run among them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Checkpoints kept in a run's folder: where a disk lost the last, whoever removes it goes on from the one before.
const KEPT: usize = 2;
const PREFIX: &str = "step-";

/// Makes the folder `path` by filling a temporary one beside it and renaming that. A folder that was there before is
/// replaced, whatever is in it: a caller that was given `path` by a user asks [`refuse_foreign`] first. Whoever looks sees the
/// old one, none for an instant, or the new one, never a part.
pub fn write_folder(path: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    // Where a link leads; and without a slash at the end, to which nothing could be appended.
    let path = &match path.canonicalize() {
        Ok(whole) => whole,
        Err(_) if path.is_symlink() => {
            return Err(Error::field(path, "output", "a link to nothing", "a folder, or nothing"));
        }
        Err(_) => path.components().collect(),
    };
    if path.exists() && !path.is_dir() {
        return Err(Error::field(path, "output", "a file", "a folder, or nothing"));
    }
    // Names that nobody else takes: what is left there is an interrupted run's.
    let temporary = beside(path, "electra-train-writing");
    let replaced = beside(path, "electra-train-replaced");
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(Error::write(parent))?;
    }
    if replaced.exists() && !path.exists() {
        // Whoever replaced it ended between two renames: this is the only copy.
        fs::rename(&replaced, path).map_err(Error::write(path))?;
    }
    for leftover in [&temporary, &replaced] {
        remove(leftover)?;
    }
    fs::create_dir(&temporary).map_err(Error::write(&temporary))?;
    let filled = fill(&temporary).and_then(|()| sync_files(&temporary));
    if let Err(error) = filled {
        // A disk that is full stays less full; the reason matters more than whether this works.
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

/// Refuses to replace the folder `path`, which a user named, unless there is nothing in it but files of the names `ours`, or if it
/// is one of `inputs`.
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
    /// Those in `folder`, which need not exist.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The step and folder of the last one.
    pub fn last(&self) -> Result<Option<(u64, PathBuf)>> {
        Ok(self.all()?.pop())
    }

    /// Writes the one of `step` and removes those that are too old.
    pub fn write(&self, step: u64, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        write_folder(&self.folder.join(format!("{PREFIX}{step}")), fill)?;
        let all = self.all()?;
        for (_, folder) in &all[..all.len().saturating_sub(KEPT)] {
            remove(folder)?;
        }
        Ok(())
    }

    /// Refuses to begin anew in a folder that has the `result` of a run whose checkpoints are gone.
    pub fn refuse_ended(&self, result: &Path) -> Result<()> {
        match self.last()? {
            None if result.exists() => {
                let expected = "checkpoints as well, or another --output: this would train anew";
                Err(Error::field(result, "run", "a result without checkpoints", expected))
            }
            _ => Ok(()),
        }
    }

    /// Which checkpoint is the last, for a message.
    pub fn describe_last(&self) -> String {
        match self.last() {
            Ok(Some((step, folder))) => {
                format!("the checkpoint of step {step} is kept: {}", folder.display())
            }
            _ => "no checkpoint had been written".to_owned(),
        }
    }

    /// Whole checkpoints, by step.
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

/// `path` with `.suffix` appended; [`Checkpoints::all`] does not take it for a checkpoint.
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
        // As somebody writes it who completed the name with the tab key.
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
            assert!(
                write_folder(&dangling, fill).unwrap_err().to_string().contains("found a link to nothing")
            );
        }
        let file = root.path().join("file");
        write_text(&file, "x").unwrap();
        assert!(refuse_foreign(&file, &[], &[]).unwrap_err().to_string().contains("found a file"));
        assert!(write_folder(&file, fill).unwrap_err().to_string().contains("found a file"));
        assert_eq!(fs::read_to_string(&file).unwrap(), "x");
    }

    /// Whoever was killed between its two renames has left the old folder beside its place.
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
