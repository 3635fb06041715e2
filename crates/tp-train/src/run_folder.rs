//! The folder of a run, which one process at a time may write to.

use std::{fs, path::Path};

use tp_core::{FileLock, LockMode};

use crate::TrainError;

/// Held as long as a run writes to its folder; the system frees it when the process ends, however
/// it ends.
#[derive(Debug)]
pub(crate) struct RunFolder {
    _lock: FileLock,
}

impl RunFolder {
    /// Makes the folder if need be, and locks it.
    ///
    /// # Errors
    ///
    /// [`TrainError::InUse`] if another process holds it, [`TrainError::Write`] if it cannot be
    /// made.
    pub(crate) fn open(folder: &Path) -> Result<Self, TrainError> {
        fs::create_dir_all(folder)
            .map_err(|source| TrainError::Write { path: folder.to_owned(), source })?;
        let path = folder.join(".lock");
        let lock = FileLock::take(&path, LockMode::Alone)
            .map_err(|source| TrainError::Write { path: path.clone(), source })?;
        let lock = lock.ok_or_else(|| TrainError::InUse { folder: folder.to_owned() })?;
        if !lock.is_held() {
            tracing::warn!(
                "the file system of {} has no locks: see to it that one process at a time trains there",
                folder.display()
            );
        }
        Ok(Self { _lock: lock })
    }
}
