//! API keys, which come from the environment and appear only in request headers.

use std::fmt;

/// A key that is never shown in a log, error or record.
#[derive(Clone)]
pub(crate) struct Secret(String);

impl Secret {
    /// The key without surrounding spaces; `None` if it is empty or contains characters that a
    /// header cannot.
    pub(crate) fn new(key: &str) -> Option<Self> {
        let key = key.trim();
        (!key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic()))
            .then(|| Self(key.to_owned()))
    }

    /// The value of the header.
    pub(crate) fn bearer(&self) -> String {
        format!("Bearer {}", self.0)
    }

    /// An untrusted text with every occurrence of the key removed.
    pub(crate) fn redacted(&self, text: &str) -> String {
        text.replace(&self.0, "[key]")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[key]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_is_never_shown() {
        let key = Secret("sk-12345".to_owned());
        assert_eq!(format!("{key:?}"), "[key]");
        assert_eq!(
            key.redacted("Incorrect API key provided: sk-12345."),
            "Incorrect API key provided: [key]."
        );
    }
}
