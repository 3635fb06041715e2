//! The folder of a run, which one process at a time may write to.

use std::{
    fs::{self, File, TryLockError},
    path::Path,
};

use crate::TrainError;

/// Held as long as a run writes to its folder; the system frees it when the process ends, however it ends.
#[derive(Debug)]
pub struct RunFolder {
    _lock: File,
}

impl RunFolder {
    /// Makes the folder if need be, and locks it.
    ///
    /// # Errors
    ///
    /// [`TrainError::InUse`] if another process holds it, [`TrainError::Write`] if it cannot be made.
    pub fn open(folder: &Path) -> Result<Self, TrainError> {
        fs::create_dir_all(folder).map_err(|source| TrainError::Write { path: folder.to_owned(), source })?;
        let path = folder.join(".lock");
        let lock = File::create(&path).map_err(|source| TrainError::Write { path: path.clone(), source })?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(TrainError::InUse { folder: folder.to_owned() }),
            // Some network file systems have no locks; that is no reason not to train there.
            Err(TryLockError::Error(error)) => tracing::warn!("cannot lock {}: {error}", path.display()),
        }
        Ok(Self { _lock: lock })
    }
}
