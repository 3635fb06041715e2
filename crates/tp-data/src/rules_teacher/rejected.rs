//! Reasons for points without a description.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

/// Why a point has no description.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    thiserror::Error,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Rejected {
    /// The point is outside the image.
    #[error("the point is outside the image")]
    OutsideImage,
    /// The target refers to an object or a part that the annotation lacks.
    #[error("the annotation has no such object or part")]
    NoSuchTarget,
    /// The description would be ambiguous.
    #[error("several things fit the same words")]
    Ambiguous,
}

/// The number of points without a description, by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RejectedCounts(BTreeMap<Rejected, usize>);

impl RejectedCounts {
    /// Counts a point.
    pub fn count(&mut self, reason: Rejected) {
        *self.0.entry(reason).or_default() += 1;
    }

    /// The count of a reason.
    #[must_use]
    pub fn of(&self, reason: Rejected) -> usize {
        self.0.get(&reason).copied().unwrap_or(0)
    }
}

impl fmt::Display for RejectedCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        let counts: Vec<String> =
            self.0.iter().map(|(reason, n)| format!("{n} because {reason}")).collect();
        f.write_str(&counts.join(", "))
    }
}
