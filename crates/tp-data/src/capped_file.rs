//! The one way a file of a stranger comes into memory whole: not beyond a cap.

use std::{fs::File, io::Read, path::Path};

use crate::DataError;

/// A file's bytes, if there are not too many of them.
pub(crate) fn read_capped(path: &Path, max: u64) -> Result<Vec<u8>, DataError> {
    let unreadable = |source| DataError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).map_err(unreadable)?.take(max + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > max { Err(DataError::FileTooLong { path: path.to_owned(), max }) } else { Ok(bytes) }
}
