//! Files in TOML: capped, and with an error that fits on one line.

#[cfg(feature = "builder")]
use std::path::Path;

use serde::de::DeserializeOwned;

#[cfg(feature = "builder")]
use crate::{DataError, capped_file::read_capped};

/// Configurations are written by hand.
#[cfg(feature = "builder")]
const MAX_BYTES: u64 = 1 << 20;

/// Reads a configuration.
#[cfg(feature = "builder")]
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<T, DataError> {
    let refuse = |problem| DataError::Config { path: path.to_owned(), problem };
    let text = String::from_utf8(read_capped(path, MAX_BYTES)?).map_err(|_| refuse("it is no text in UTF-8".to_owned()))?;
    parse(&text).map_err(refuse)
}

/// Parses a text; the problem names its line.
pub(crate) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        let message = error.message().replace('\n', " ");
        line.map_or_else(|| message.clone(), |line| format!("line {line}: {message}"))
    })
}
