//! Configuration files in TOML, with a size limit.

use std::path::Path;

use serde::de::DeserializeOwned;
use tp_data::{parse_toml, read_capped};

use crate::BuildError;

/// The maximum size in bytes; configurations are written by hand.
const MAX_BYTES: u64 = 1 << 20;

/// Reads a configuration.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<T, BuildError> {
    let refuse = |problem| BuildError::Config { path: path.to_owned(), problem };
    let text = String::from_utf8(read_capped(path, MAX_BYTES)?)
        .map_err(|_| refuse("it is not UTF-8 text".to_owned()))?;
    parse_toml(&text).map_err(refuse)
}
