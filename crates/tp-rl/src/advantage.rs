//! Group-relative advantages: each completion is compared with the others for the same point.
//!
//! Sources: Talking Points, section on reinforcement learning (mean and standard deviation of the
//! group; which estimator of the deviation is not published); GRPO (arXiv 2402.03300); Dr. GRPO
//! (arXiv 2503.20783) for the variant without scaling.

use serde::{Deserialize, Serialize};
use tp_core::UnitXy;

/// What centered rewards are divided by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// The standard deviation of their own group, as in the paper.
    #[default]
    Group,
    /// The standard deviation of all rewards of the batch.
    Batch,
    /// Nothing: advantages are the centered rewards.
    None,
    /// No centering: the best completion of a group has the advantage 1 and the others are left
    /// out. With one update per batch this is rejection sampling followed by fine-tuning on the
    /// best samples.
    Best,
    /// The best completion of a group has the advantage 1, the worst −1, and the others are left
    /// out: the preference pairs of [`dpo_loss`](crate::dpo_loss).
    Pair,
}

/// The estimator of the standard deviation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deviation {
    /// Divides by `n`.
    #[default]
    Population,
    /// Divides by `n − 1`, as trl does.
    Sample,
}

/// What happens to a group whose rewards are all equal or that lies below the spread floor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlatGroups {
    /// Its advantages are 0, so that only the KL term acts on it. This is the paper's formula.
    #[default]
    Keep,
    /// It is left out of the loss, as in DAPO.
    Drop,
}

/// How advantages are computed from rewards.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdvantageConfig {
    /// What centered rewards are divided by.
    pub scale: Scale,
    /// The estimator of the standard deviation.
    pub deviation: Deviation,
    /// Added to the standard deviation before dividing.
    pub epsilon: f64,
    /// What happens to groups without spread.
    pub flat: FlatGroups,
    /// A group whose located points all lie within this distance of one another, in the unit
    /// square, contributes no policy gradient: the points differ only by the Localizer's jitter,
    /// and dividing by their standard deviation would amplify noise to a gradient of full size. 0
    /// disables the floor.
    pub spread_floor: f64,
}

impl Default for AdvantageConfig {
    fn default() -> Self {
        Self {
            scale: Scale::Group,
            deviation: Deviation::Population,
            epsilon: 1e-4,
            flat: FlatGroups::Keep,
            spread_floor: 0.0,
        }
    }
}

/// The advantages of a batch, with statistics of the scaling.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Advantages {
    /// One per completion; `None` if the completion is left out of the loss.
    pub values: Vec<Option<f64>>,
    /// Completions without a reward.
    pub n_unscorable: usize,
    /// Groups below the spread floor.
    pub n_below_floor: usize,
    /// The share of groups whose rewards are all equal.
    pub frac_zero_std: f64,
    /// The mean share of epsilon in the divisor, 0 to 1. At 1 the divisor is epsilon alone.
    pub epsilon_share: f64,
    /// The mean standard deviation within groups.
    pub mean_std: f64,
}

/// Computes the advantage of every completion within its group of `group_size` consecutive
/// completions; those without a reward are left out.
///
/// `Aᵢ = (rᵢ − mean) / (deviation + epsilon)`, or `rᵢ − mean` with [`Scale::None`].
///
/// `points` holds the point at which the judge located each completion. The spread floor applies to
/// groups in which every scored completion was located.
///
/// # Panics
///
/// If the lengths differ or are not a multiple of `group_size`.
#[must_use]
pub fn advantages(
    rewards: &[Option<f64>],
    points: &[Option<UnitXy>],
    group_size: usize,
    config: &AdvantageConfig,
) -> Advantages {
    assert!(
        rewards.len() == points.len() && group_size > 0 && rewards.len().is_multiple_of(group_size),
        "{} rewards, {} points, groups of {group_size}",
        rewards.len(),
        points.len()
    );
    let all: Vec<f64> = rewards.iter().flatten().copied().collect();
    let of_batch = deviation(&all, config.deviation);
    let mut sum = Advantages {
        values: Vec::with_capacity(rewards.len()),
        n_unscorable: rewards.len() - all.len(),
        n_below_floor: 0,
        frac_zero_std: 0.0,
        epsilon_share: 0.0,
        mean_std: 0.0,
    };
    let n_groups = (rewards.len() / group_size).max(1) as f64;
    for (rewards, points) in rewards.chunks(group_size).zip(points.chunks(group_size)) {
        let scored: Vec<f64> = rewards.iter().flatten().copied().collect();
        let of_group = deviation(&scored, config.deviation);
        let mean = scored.iter().sum::<f64>() / scored.len().max(1) as f64;
        let below_floor = is_below_floor(rewards, points, config.spread_floor);
        let divisor = match config.scale {
            Scale::Group => of_group + config.epsilon,
            Scale::Batch => of_batch + config.epsilon,
            Scale::None | Scale::Best | Scale::Pair => 1.0,
        };
        sum.n_below_floor += usize::from(below_floor);
        sum.frac_zero_std += f64::from(u8::from(of_group == 0.0)) / n_groups;
        sum.mean_std += of_group / n_groups;
        if matches!(config.scale, Scale::Group | Scale::Batch) && divisor > 0.0 {
            sum.epsilon_share += config.epsilon / divisor / n_groups;
        }
        let flat = of_group == 0.0 || below_floor;
        if matches!(config.scale, Scale::Best | Scale::Pair) {
            sum.values.extend(chosen(rewards, flat, config.scale == Scale::Pair));
            continue;
        }
        sum.values.extend(rewards.iter().map(|reward| match (reward, flat, config.flat) {
            (None, ..) | (Some(_), true, FlatGroups::Drop) => None,
            (Some(_), true, FlatGroups::Keep) => Some(0.0),
            (Some(reward), false, _) => Some((reward - mean) / divisor),
        }));
    }
    sum
}

/// 1 for the first of the best, −1 for the first of the worst if pairs are wanted, `None` for the
/// others.
fn chosen(rewards: &[Option<f64>], flat: bool, pairs: bool) -> Vec<Option<f64>> {
    let first_of = |sign: f64| {
        let scored = rewards
            .iter()
            .enumerate()
            .filter_map(|(at, reward)| reward.map(|reward| (at, sign * reward)));
        scored.fold(
            None,
            |best: Option<(usize, f64)>, new| {
                if best.is_none_or(|best| new.1 > best.1) { Some(new) } else { best }
            },
        )
    };
    let (best, worst) =
        (first_of(1.0).filter(|_| !flat), first_of(-1.0).filter(|_| !flat && pairs));
    let is = |found: Option<(usize, f64)>, at| found.is_some_and(|found| found.0 == at);
    (0..rewards.len())
        .map(|at| if is(best, at) { Some(1.0) } else { is(worst, at).then_some(-1.0) })
        .collect()
}

/// The standard deviation, exactly 0 if all values are equal.
pub(crate) fn deviation(values: &[f64], kind: Deviation) -> f64 {
    let n = values.len();
    if values.iter().all(|value| *value == values[0]) {
        return 0.0; // the mean of equal numbers may differ from them by rounding
    }
    let mean = values.iter().sum::<f64>() / n as f64;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let degrees = match kind {
        Deviation::Population => n,
        Deviation::Sample => n - 1,
    };
    (squares / degrees as f64).sqrt()
}

fn is_below_floor(rewards: &[Option<f64>], points: &[Option<UnitXy>], floor: f64) -> bool {
    let scored: Option<Vec<UnitXy>> = rewards
        .iter()
        .zip(points)
        .filter(|(reward, _)| reward.is_some())
        .map(|(_, point)| *point)
        .collect();
    let Some(points) = scored.filter(|points| points.len() > 1) else { return false };
    let widest =
        points.iter().flat_map(|a| points.iter().map(|b| a.distance(*b))).fold(0.0, f64::max);
    widest < floor
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(rewards: &[Option<f64>], group_size: usize, config: &AdvantageConfig) -> Advantages {
        advantages(rewards, &vec![None; rewards.len()], group_size, config)
    }

    #[test]
    fn group_of_three_by_hand() {
        // Mean 2, population deviation √(2/3), sample deviation 1.
        let rewards = [1.0, 2.0, 3.0].map(Some);
        let exact = AdvantageConfig { epsilon: 0.0, ..Default::default() };
        let third = of(&rewards, 3, &exact).values[2].unwrap();
        assert!((third - 1.5f64.sqrt()).abs() < 1e-12);
        let sample = AdvantageConfig { deviation: Deviation::Sample, epsilon: 1.0, ..exact };
        let by_sample = of(&rewards, 3, &sample);
        assert_eq!(by_sample.values, [-0.5, 0.0, 0.5].map(Some));
        assert_eq!(by_sample.epsilon_share, 0.5);
        assert_eq!(
            of(&rewards, 3, &AdvantageConfig { scale: Scale::None, ..exact }).values,
            [-1.0, 0.0, 1.0].map(Some)
        );
    }

    #[test]
    fn unscorable_is_left_out_of_its_group_and_counted() {
        let config = AdvantageConfig { scale: Scale::None, ..Default::default() };
        let result = of(&[Some(1.0), None, Some(3.0)], 3, &config);
        assert_eq!(result.values, [Some(-1.0), None, Some(1.0)]);
        assert_eq!(result.n_unscorable, 1);
        assert_eq!(of(&[None, None], 2, &config).values, [None, None]);
    }

    #[test]
    fn equal_rewards_say_nothing_or_are_dropped() {
        let rewards = [Some(0.1), Some(0.1), Some(0.1), Some(0.0), Some(0.5), Some(1.0)];
        let kept = of(&rewards, 3, &AdvantageConfig::default());
        assert_eq!(kept.values[..3], [Some(0.0); 3]);
        assert_eq!(kept.frac_zero_std, 0.5);
        let dropped =
            of(&rewards, 3, &AdvantageConfig { flat: FlatGroups::Drop, ..Default::default() });
        assert_eq!(dropped.values[..3], [None; 3]);
        assert!(dropped.values[3..].iter().all(Option::is_some));
    }

    #[test]
    fn best_and_worst_are_chosen_where_they_differ() {
        let rewards =
            [Some(0.2), Some(0.5), None, Some(0.5), Some(0.3), Some(0.3), Some(0.3), None];
        let with = |scale| of(&rewards, 4, &AdvantageConfig { scale, ..Default::default() }).values;
        assert_eq!(with(Scale::Best), [None, Some(1.0), None, None, None, None, None, None]);
        assert_eq!(with(Scale::Pair), [Some(-1.0), Some(1.0), None, None, None, None, None, None]);
    }

    #[test]
    fn jitter_below_the_floor_gives_no_gradient() {
        let rewards = [-0.0100, -0.0101, -0.0102, -0.01, -0.02, -0.03].map(Some);
        let at = |x| Some(UnitXy::nearest(x, 0.5));
        let points = [at(0.500), at(0.501), at(0.502), at(0.5), at(0.6), at(0.7)];
        let config = AdvantageConfig { spread_floor: 0.01, ..Default::default() };
        let result = advantages(&rewards, &points, 3, &config);
        assert_eq!(result.values[..3], [Some(0.0); 3]);
        assert!(result.values[5].unwrap() < -1.0);
        assert_eq!((result.n_below_floor, result.frac_zero_std), (1, 0.0));
    }

    proptest! {
        #[test]
        fn advantages_of_a_group_sum_to_nothing(rewards in proptest::collection::vec(-9.0..9.0f64, 6), scale in 0..3usize) {
            let config = AdvantageConfig { scale: [Scale::Group, Scale::Batch, Scale::None][scale], ..Default::default() };
            let rewards: Vec<_> = rewards.into_iter().map(Some).collect();
            for group in of(&rewards, 3, &config).values.chunks(3) {
                prop_assert!(group.iter().flatten().sum::<f64>().abs() < 1e-9);
            }
        }
    }
}
