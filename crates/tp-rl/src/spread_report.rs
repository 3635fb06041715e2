//! The spread of rewards within groups. Rewards that do not differ within a group give no gradient,
//! however high they are.

use serde::{Deserialize, Serialize};
use tp_core::UnitXy;

use crate::{AdvantageConfig, advantage::deviation, advantages};

/// The spread of the rewards of a first batch, before training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SpreadReport {
    /// The number of groups.
    pub n_groups: usize,
    /// The mean reward.
    pub mean: f64,
    /// The standard deviation of all rewards.
    pub std: f64,
    /// The mean standard deviation within groups, on which the size of the policy gradient depends.
    pub std_within: f64,
    /// The share of the variance that lies within groups; the rest is due to points of different
    /// difficulty.
    pub share_within: f64,
    /// The share of groups whose rewards are all equal.
    pub frac_zero_std: f64,
    /// The share of groups below the spread floor.
    pub frac_below_floor: f64,
    /// The share of completions without a reward.
    pub frac_unscorable: f64,
    /// The mean over groups of best minus mean reward: the gain of best-of-group selection.
    pub best_gain: f64,
}

impl SpreadReport {
    /// Computes the report for rewards in consecutive groups of `group_size`, with the points that
    /// the judge located.
    ///
    /// # Panics
    ///
    /// As [`advantages`].
    #[must_use]
    pub fn of(
        rewards: &[Option<f64>],
        points: &[Option<UnitXy>],
        group_size: usize,
        config: &AdvantageConfig,
    ) -> Self {
        let scaled = advantages(rewards, points, group_size, config);
        let all: Vec<f64> = rewards.iter().flatten().copied().collect();
        let n_groups = rewards.len() / group_size;
        let groups: Vec<Vec<f64>> = rewards
            .chunks(group_size)
            .map(|group| group.iter().flatten().copied().collect())
            .collect();
        let of_groups = |of: &dyn Fn(&[f64]) -> f64| {
            let scored: Vec<f64> =
                groups.iter().filter(|group| !group.is_empty()).map(|group| of(group)).collect();
            mean(&scored)
        };
        let std = deviation(&all, config.deviation);
        let within = of_groups(&|group| deviation(group, config.deviation).powi(2));
        Self {
            n_groups,
            mean: mean(&all),
            std,
            std_within: scaled.mean_std,
            share_within: if std > 0.0 { (within / (std * std)).min(1.0) } else { 0.0 },
            frac_zero_std: scaled.frac_zero_std,
            frac_below_floor: scaled.n_below_floor as f64 / n_groups.max(1) as f64,
            frac_unscorable: scaled.n_unscorable as f64 / rewards.len().max(1) as f64,
            best_gain: of_groups(&|group| {
                group.iter().copied().fold(f64::NEG_INFINITY, f64::max) - mean(group)
            }),
        }
    }

    /// Why training on such rewards would have no effect, or `None`.
    #[must_use]
    pub fn objection(&self) -> Option<String> {
        if self.frac_unscorable >= 0.9 {
            return Some(format!(
                "{:.0} % of the completions cannot be scored",
                100.0 * self.frac_unscorable
            ));
        }
        let idle = self.frac_zero_std.max(self.frac_below_floor);
        (idle >= 0.9).then(|| format!("{:.0} % of the groups have no spread", 100.0 * idle))
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variance_within_and_between_groups_by_hand() {
        let rewards = [0.0, 2.0, 4.0, 6.0].map(Some);
        let report = SpreadReport::of(&rewards, &[None; 4], 2, &AdvantageConfig::default());
        assert_eq!(
            (report.n_groups, report.mean, report.std_within, report.best_gain),
            (2, 3.0, 1.0, 1.0)
        );
        assert!((report.share_within - 0.2).abs() < 1e-12); // 1 of 5
        assert_eq!(report.objection(), None);
    }

    #[test]
    fn rewards_without_spread_are_objected_to() {
        let report = SpreadReport::of(&[Some(0.5); 4], &[None; 4], 2, &AdvantageConfig::default());
        assert!(report.objection().unwrap().contains("no spread"));
        let report = SpreadReport::of(&[None; 4], &[None; 4], 2, &AdvantageConfig::default());
        assert!(report.objection().unwrap().contains("cannot be scored"));
    }
}
