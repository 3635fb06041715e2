//! A file that one process at a time may hold.

use std::{
    fs::{File, TryLockError},
    io,
    path::Path,
};

/// Whether others may hold the file, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockMode {
    /// Nobody else.
    Alone,
    /// Others who share it.
    Shared,
}

/// A held file. Released on drop, and by the system when the process ends, however it ends.
#[derive(Debug)]
pub struct FileLock {
    file: File,
    is_held: bool,
}

impl FileLock {
    /// Takes the file, which is made if need be; `None` if another process, or another part of this
    /// one, holds it.
    ///
    /// Some network file systems have no locks: there the file counts as taken, and
    /// [`FileLock::is_held`] says that it is not.
    ///
    /// # Errors
    ///
    /// If the file cannot be made.
    pub fn take(path: &Path, mode: LockMode) -> io::Result<Option<Self>> {
        let file = File::options().create(true).truncate(false).write(true).open(path)?;
        let locked = match mode {
            LockMode::Alone => file.try_lock(),
            LockMode::Shared => file.try_lock_shared(),
        };
        match locked {
            Ok(()) => Ok(Some(Self { file, is_held: true })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(_)) => Ok(Some(Self { file, is_held: false })),
        }
    }

    /// Whether the file system keeps others away.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.is_held
    }
}

/// Closing the file is not enough: a child process that is just being started holds the same open
/// file for a moment.
impl Drop for FileLock {
    fn drop(&mut self) {
        if self.is_held {
            // Nothing can be done about a failure, and closing the file lets go of it, too.
            let _ = self.file.unlock();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_or_many_who_share() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let take = |mode| FileLock::take(&path, mode).unwrap();
        let alone = take(LockMode::Alone);
        assert!(
            alone.is_some() && take(LockMode::Alone).is_none() && take(LockMode::Shared).is_none()
        );
        drop(alone);
        let shared = [take(LockMode::Shared), take(LockMode::Shared)];
        assert!(shared.iter().all(Option::is_some) && take(LockMode::Alone).is_none());
        drop(shared);
        assert!(take(LockMode::Alone).is_some());
    }
}
