//! Lock of a run's folder. Two runs in one folder would overwrite each other's checkpoints.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;

use crate::error::{Error, Result};

/// Name of the locked file. The file stays in the folder. The lock ends with the process, however
/// that ends.
const LOCK: &str = "lock";

/// Lock on a run's folder, until it is dropped.
#[derive(Debug)]
#[must_use]
pub struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Locks the folder `output`, which is created if it does not exist. Fails if another run has
    /// locked it.
    pub fn take(output: &Path) -> Result<Self> {
        fs::create_dir_all(output).map_err(Error::write(output))?;
        let path = output.join(LOCK);
        let file = File::options().write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(Error::write(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            // Some network file systems have no locks. Runs there are not protected.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                Ok(Self { _file: file })
            }
            Err(TryLockError::Error(error)) => Err(Error::write(&path)(error)),
            Err(TryLockError::WouldBlock) => Err(Error::InUse { folder: output.to_path_buf() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_run_at_a_time() {
        let root = tempfile::tempdir().unwrap();
        let output = root.path().join("new/run");
        let first = FolderLock::take(&output).unwrap();
        let error = FolderLock::take(&output).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{}: another run works", output.display())), "{error}");
        drop(first);
        FolderLock::take(&output).map(drop).unwrap();
    }
}
