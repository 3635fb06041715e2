//! Assigns images to splits by group, so that no photograph is in two splits.

use serde::{Deserialize, Serialize};
use tp_core::Seed;

use crate::{DataError, Split};

/// The fractions of the three splits, which sum to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawFractions", into = "RawFractions")]
pub struct SplitFractions {
    train: f64,
    val: f64,
    test: f64,
}

impl SplitFractions {
    /// Creates the fractions.
    ///
    /// # Errors
    ///
    /// [`DataError::SplitFractions`] if one is not in `[0, 1]`, or they do not sum to 1 within
    /// 10⁻⁶.
    pub fn new(train: f64, val: f64, test: f64) -> Result<Self, DataError> {
        let proper = [train, val, test].iter().all(|share| (0.0..=1.0).contains(share));
        if !proper || (train + val + test - 1.0).abs() > 1e-6 {
            return Err(DataError::SplitFractions { train, val, test });
        }
        Ok(Self { train, val, test })
    }

    /// The split of a group: a fixed function of seed and name, so that the splits are stable when
    /// a data set grows.
    ///
    /// The fractions hold on average over many groups, but may be missed widely with few groups.
    #[must_use]
    pub fn side_of(&self, seed: Seed, group: &str) -> Split {
        // The upper 53 bits, as a number in [0, 1).
        let draw = (seed.split("split").split(group).0 >> 11) as f64 / (1u64 << 53) as f64;
        if draw < self.train {
            Split::Train
        } else if draw < self.train + self.val || self.test == 0.0 {
            // Without a test fraction, a sum slightly below 1 must not produce a test split.
            if self.val > 0.0 { Split::Val } else { Split::Train }
        } else {
            Split::Test
        }
    }
}

/// The JSON representation of the fractions.
#[derive(Serialize, Deserialize)]
struct RawFractions {
    train: f64,
    val: f64,
    test: f64,
}

impl TryFrom<RawFractions> for SplitFractions {
    type Error = DataError;

    fn try_from(RawFractions { train, val, test }: RawFractions) -> Result<Self, DataError> {
        Self::new(train, val, test)
    }
}

impl From<SplitFractions> for RawFractions {
    fn from(SplitFractions { train, val, test }: SplitFractions) -> Self {
        Self { train, val, test }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn shares_that_are_no_split_are_refused() {
        for [train, val, test] in
            [[0.5, 0.5, 0.5], [-0.1, 0.6, 0.5], [f64::NAN, 0.5, 0.5], [0.2, 0.2, 0.2]]
        {
            assert!(SplitFractions::new(train, val, test).is_err());
        }
        assert!(
            serde_json::from_str::<SplitFractions>(r#"{"train":0.9,"val":0.9,"test":0.0}"#)
                .is_err()
        );
    }

    #[test]
    fn sides_of_known_groups_never_change() {
        let shares = SplitFractions::new(0.5, 0.25, 0.25).unwrap();
        let sides: String = (0..24)
            .map(|i| ["t", "v", "e"][shares.side_of(Seed(7), &format!("group {i}")) as usize])
            .collect();
        assert_eq!(sides, "tetttvevttettvtttvttetvt");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn shares_are_met_over_many_groups(seed: u64, train in 0.0..1.0f64, rest in 0.0..1.0f64) {
            let val = (1.0 - train) * rest;
            let shares = SplitFractions::new(train, val, (1.0 - train - val).max(0.0)).unwrap();
            let mut counts = [0.0; 3];
            for group in 0..4000 {
                let name = format!("photograph {group}");
                let side = shares.side_of(Seed(seed), &name);
                prop_assert_eq!(side, shares.side_of(Seed(seed), &name));
                counts[side as usize] += 1.0 / 4000.0;
            }
            for (count, share) in counts.into_iter().zip([shares.train, shares.val, shares.test]) {
                prop_assert!((count - share).abs() < 0.05, "{counts:?} {shares:?}");
            }
        }

        #[test]
        fn side_without_a_share_gets_nothing(seed: u64, group in ".*") {
            prop_assert_eq!(SplitFractions::new(1.0, 0.0, 0.0).unwrap().side_of(Seed(seed), &group), Split::Train);
            prop_assert_eq!(SplitFractions::new(0.0, 1.0, 0.0).unwrap().side_of(Seed(seed), &group), Split::Val);
            prop_assert_eq!(SplitFractions::new(0.0, 0.0, 1.0).unwrap().side_of(Seed(seed), &group), Split::Test);
        }
    }
}
