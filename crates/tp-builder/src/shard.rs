//! Shards of a build. Inputs are assigned by content, so that copies of an image are in one shard
//! and are asked about once.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{BuildError, ContentKey};

/// Shard `i` of `n`, written `i/n`, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Shard {
    n: u32,
    i: u32,
}

impl Shard {
    /// The whole build.
    pub const WHOLE: Self = Self { n: 1, i: 1 };

    /// Shard `i` of `n`.
    ///
    /// # Errors
    ///
    /// [`BuildError::Shard`] unless `1 ≤ i ≤ n ≤ 9999`.
    pub fn new(i: u32, n: u32) -> Result<Self, BuildError> {
        if (1..=n).contains(&i) && n <= 9999 {
            Ok(Self { n, i })
        } else {
            Err(BuildError::Shard { text: format!("{i}/{n}") })
        }
    }

    /// Whether an input belongs to this shard.
    #[must_use]
    pub fn owns(&self, key: &ContentKey) -> bool {
        (key.short() % u128::from(self.n)) as u32 == self.i - 1
    }

    /// The number of shards.
    #[must_use]
    pub fn n(&self) -> u32 {
        self.n
    }

    /// The name of its files.
    pub(crate) fn file_stem(&self) -> String {
        format!("{:04}-of-{:04}", self.i, self.n)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.i, self.n)
    }
}

impl FromStr for Shard {
    type Err = BuildError;

    fn from_str(text: &str) -> Result<Self, BuildError> {
        let refuse = || BuildError::Shard { text: text.to_owned() };
        let (i, n) = text.split_once('/').ok_or_else(refuse)?;
        Self::new(i.parse().map_err(|_| refuse())?, n.parse().map_err(|_| refuse())?)
            .map_err(|_| refuse())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_input_has_exactly_one_shard() {
        let shards: Vec<Shard> = (1..=7).map(|i| Shard::new(i, 7).unwrap()).collect();
        for name in 0..200_u32 {
            let key = ContentKey::of_bytes(&name.to_le_bytes());
            assert_eq!(shards.iter().filter(|shard| shard.owns(&key)).count(), 1);
        }
    }

    #[test]
    fn written_as_i_of_n() {
        assert_eq!("3/16".parse::<Shard>().unwrap().to_string(), "3/16");
        for text in ["0/3", "4/3", "1", "1/0", "-1/2", "1/99999", "a/b"] {
            assert!(text.parse::<Shard>().unwrap_err().to_string().contains(text), "{text}");
        }
    }
}
