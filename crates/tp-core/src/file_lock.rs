//! Lock files between processes.

use std::{
    fs::{File, TryLockError},
    io,
    path::Path,
};

/// Whether the lock is exclusive or shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockMode {
    /// Exclusive.
    Alone,
    /// Shared with other holders of a shared lock.
    Shared,
}

/// A lock on a file. Released on drop, and by the operating system when the process ends, even
/// after a crash.
#[derive(Debug)]
pub struct FileLock {
    file: File,
    is_held: bool,
}

impl FileLock {
    /// Locks the file, which is created if necessary; `None` if another process, or another part of
    /// this one, holds the lock.
    ///
    /// Some network file systems do not support locks. There the lock is granted, and
    /// [`FileLock::is_held`] returns false.
    ///
    /// # Errors
    ///
    /// If the file cannot be created.
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

    /// Whether the lock is enforced by the file system.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.is_held
    }
}

/// Closing the file is not enough, because a child process that is being started may share the same
/// open file for a moment.
impl Drop for FileLock {
    fn drop(&mut self) {
        if self.is_held {
            // A failure cannot be handled here, and closing the file releases the lock as well.
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
