//! Content keys: the SHA-256 of everything that determines a result, under which it is stored.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The SHA-256 of an input, or of everything that determines a result.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContentKey([u8; 32]);

impl ContentKey {
    /// The hash of bytes, as `sha256sum` prints it.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The hash of a list of parts; different divisions of the same bytes give different hashes.
    #[must_use]
    pub fn of_parts(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    /// The key from a finished hash.
    pub(crate) fn of_hash(hash: Sha256) -> Self {
        Self(hash.finalize().into())
    }

    /// The first half, which is enough to identify the key.
    pub(crate) fn short(&self) -> u128 {
        u128::from_be_bytes(std::array::from_fn(|at| self.0[at]))
    }

    /// The bytes.
    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for ContentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ContentKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || "a key is 64 hexadecimal digits".to_owned();
        if text.len() != 64 || !text.is_ascii() {
            return Err(refuse());
        }
        let mut bytes = [0; 32];
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digits = std::str::from_utf8(digits).map_err(|_| refuse())?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| refuse())?;
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for ContentKey {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<ContentKey> for String {
    fn from(key: ContentKey) -> Self {
        key.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_is_the_known_hash_and_survives_text() {
        // The hash of "abc" in FIPS 180-2.
        let key = ContentKey::of_bytes(b"abc");
        assert_eq!(
            key.to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(key.to_string().parse::<ContentKey>().unwrap(), key);
        assert!(
            "xyz".parse::<ContentKey>().is_err() && "é".repeat(32).parse::<ContentKey>().is_err()
        );
    }

    #[test]
    fn parts_cannot_be_cut_differently() {
        assert_ne!(ContentKey::of_parts(&[b"ab", b"c"]), ContentKey::of_parts(&[b"a", b"bc"]));
        assert_ne!(ContentKey::of_parts(&[b"abc"]), ContentKey::of_bytes(b"abc"));
    }
}
