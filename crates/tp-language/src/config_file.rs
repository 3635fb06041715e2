//! Reads untrusted configuration files, up to a maximum length.

use std::{fs::File, io::Read, path::Path};

use tp_core::is_lfs_pointer;

use crate::LanguageError;

/// A configuration is a page of text; more is not one.
const MAX_BYTES: u64 = 1 << 20;

/// The bytes of a configuration file.
pub(crate) fn read_config(path: &Path) -> Result<Vec<u8>, LanguageError> {
    let read = |source| LanguageError::ReadConfig { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    // The limit holds for what is read, whatever size the file system reports.
    File::open(path).map_err(read)?.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(read)?;
    if is_lfs_pointer(&bytes) {
        return Err(LanguageError::LfsPointer { path: path.to_owned() });
    }
    if bytes.len() as u64 > MAX_BYTES {
        return Err(LanguageError::UnusableConfig {
            path: path.to_owned(),
            reason: format!("it has more than {MAX_BYTES} bytes"),
        });
    }
    Ok(bytes)
}
