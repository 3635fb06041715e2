//! One process at a time works on one part of an output folder.

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
};

use crate::DataError;

/// Held as long as the process lives; the system lets go of it even when the process is killed.
#[derive(Debug)]
pub(crate) struct FolderLock {
    file: File,
}

impl FolderLock {
    /// Takes the lock for oneself.
    ///
    /// # Errors
    ///
    /// [`DataError::InUse`] if another process holds it, alone or not.
    pub(crate) fn take(path: &Path, folder: &Path) -> Result<Self, DataError> {
        Self::lock(path, folder, File::try_lock)
    }

    /// Takes the lock beside others who share it.
    ///
    /// # Errors
    ///
    /// [`DataError::InUse`] if another process holds it alone.
    pub(crate) fn share(path: &Path, folder: &Path) -> Result<Self, DataError> {
        Self::lock(path, folder, File::try_lock_shared)
    }

    fn lock(path: &Path, folder: &Path, lock: impl Fn(&File) -> Result<(), TryLockError>) -> Result<Self, DataError> {
        let unwritable = |source| DataError::Write { path: PathBuf::from(path), source };
        let file = File::options().create(true).truncate(false).write(true).open(path).map_err(unwritable)?;
        match lock(&file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(DataError::InUse { folder: folder.to_owned() }),
            // Some network file systems have no locks: answers are filed by content, so two processes waste but do not harm.
            Err(TryLockError::Error(error)) => tracing::warn!("cannot lock {}: {error}", path.display()),
        }
        Ok(Self { file })
    }
}

/// Closing the file is not enough: a child process that is just being started holds the same open file for a moment.
impl Drop for FolderLock {
    fn drop(&mut self) {
        if let Err(error) = self.file.unlock() {
            tracing::debug!("cannot unlock: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_holder_is_refused_until_the_first_lets_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let first = FolderLock::take(&path, folder.path()).unwrap();
        let message = FolderLock::take(&path, folder.path()).unwrap_err().to_string();
        assert!(message.contains("another process"), "{message}");
        drop(first);
        assert!(FolderLock::take(&path, folder.path()).is_ok());
    }
}
