//! Reads untrusted files with a size limit, and rejects Git LFS pointers.

use std::{fs::File, io::Read, path::Path};

use tp_core::is_lfs_pointer;

use crate::DataError;

/// Rejects a Git LFS pointer, for readers that do not read a file as a whole.
///
/// # Errors
///
/// [`DataError::LfsPointer`].
pub fn refuse_pointer(path: &Path) -> Result<(), DataError> {
    match read_capped(path, 64) {
        Err(error @ DataError::LfsPointer { .. }) => Err(error),
        _ => Ok(()),
    }
}

/// The bytes of a file, if it does not exceed the limit and is not a Git LFS pointer.
///
/// # Errors
///
/// [`DataError::Read`], [`DataError::LfsPointer`] and [`DataError::FileTooLong`].
pub fn read_capped(path: &Path, max: u64) -> Result<Vec<u8>, DataError> {
    let unreadable = |source| DataError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path)
        .map_err(unreadable)?
        .take(max + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    match () {
        () if is_lfs_pointer(&bytes) => Err(DataError::LfsPointer { path: path.to_owned() }),
        () if bytes.len() as u64 > max => {
            Err(DataError::FileTooLong { path: path.to_owned(), max })
        }
        () => Ok(bytes),
    }
}
