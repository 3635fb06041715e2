//! Counts of skipped entries, by reason.

use std::{collections::BTreeMap, fmt};

use super::Refusal;

/// The number of skipped entries by reason, each with the first location.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    reasons: BTreeMap<Refusal, (usize, String)>,
}

impl Skipped {
    /// Counts a skipped entry; `place` is its file and location.
    pub fn count(&mut self, reason: Refusal, place: impl FnOnce() -> String) {
        self.reasons.entry(reason).or_insert_with(|| (0, place())).0 += 1;
    }

    /// Adds the counts of another part of the data set.
    pub fn add(&mut self, other: Self) {
        for (reason, (n, first)) in other.reasons {
            self.reasons.entry(reason).or_insert((0, first)).0 += n;
        }
    }

    /// The number of entries skipped for a reason.
    #[must_use]
    pub fn n(&self, reason: Refusal) -> usize {
        self.reasons.get(&reason).map_or(0, |(n, _)| *n)
    }

    /// Whether nothing was skipped.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.reasons.is_empty()
    }

    /// Every reason with its count and its first location.
    pub fn iter(&self) -> impl Iterator<Item = (Refusal, usize, &str)> {
        self.reasons.iter().map(|(&reason, (n, first))| (reason, *n, first.as_str()))
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (reason, n, first)) in self.iter().enumerate() {
            write!(f, "{}{n} times {reason} (first: {first})", if at == 0 { "" } else { "; " })?;
        }
        if self.is_empty() { f.write_str("nothing") } else { Ok(()) }
    }
}
