//! The folder of a run, locked for one process at a time.

use std::{fs, path::Path};

use tp_core::{FileLock, LockMode};

use crate::TrainError;

/// Held while a run writes to its folder. The operating system releases it when the process ends,
/// even after a crash.
#[derive(Debug)]
pub(crate) struct RunFolder {
    _lock: FileLock,
}

impl RunFolder {
    /// Creates the folder if necessary, and locks it.
    ///
    /// # Errors
    ///
    /// [`TrainError::InUse`] if another process holds the lock, [`TrainError::Write`] if the folder
    /// cannot be created.
    pub(crate) fn open(folder: &Path) -> Result<Self, TrainError> {
        fs::create_dir_all(folder)
            .map_err(|source| TrainError::Write { path: folder.to_owned(), source })?;
        let path = folder.join(".lock");
        let lock = FileLock::take(&path, LockMode::Alone)
            .map_err(|source| TrainError::Write { path: path.clone(), source })?;
        let lock = lock.ok_or_else(|| TrainError::InUse { folder: folder.to_owned() })?;
        if !lock.is_held() {
            tracing::warn!(
                "the file system of {} does not support locks: make sure that only one process trains there",
                folder.display()
            );
        }
        Ok(Self { _lock: lock })
    }
}
