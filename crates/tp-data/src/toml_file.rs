//! Parses TOML, with errors that fit on one line.

use serde::de::DeserializeOwned;

/// Parses a text in TOML.
///
/// # Errors
///
/// The problem, preceded by its line number.
pub fn parse_toml<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    toml::from_str(text).map_err(|error| {
        let line =
            error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        let message = error.message().replace('\n', " ");
        line.map_or_else(|| message.clone(), |line| format!("line {line}: {message}"))
    })
}
