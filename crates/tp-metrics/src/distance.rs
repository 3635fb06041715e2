//! The distribution of errors (EPE in pixels, NME relative to the normalizer), and the area under
//! the PCK curve.

use serde::{Deserialize, Serialize};

/// The distribution of errors over located points. Missing predictions have no error and are
/// counted separately, because a system that answers only easy questions has a small error but a
/// low PCK.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Distances {
    /// The number of points with an error.
    pub n: u64,
    /// The mean: end-point error (EPE) in pixels, or normalized mean error (NME).
    pub mean: f64,
    /// The median.
    pub median: f64,
    /// The 25th percentile.
    pub p25: f64,
    /// The 75th percentile.
    pub p75: f64,
    /// The 90th percentile.
    pub p90: f64,
    /// The 95th percentile.
    pub p95: f64,
    /// The largest error.
    pub max: f64,
}

impl Distances {
    /// The distribution of these errors, in any order; `None` without errors.
    #[must_use]
    pub fn of(errors: &[f64]) -> Option<Self> {
        let sorted = sorted(errors);
        let at = |p| quantile(&sorted, p);
        Some(Self {
            n: sorted.len() as u64,
            mean: sum(&sorted) / sorted.len() as f64,
            median: at(0.5)?,
            p25: at(0.25)?,
            p75: at(0.75)?,
            p90: at(0.9)?,
            p95: at(0.95)?,
            max: at(1.0)?,
        })
    }
}

/// The p-quantile of ascending values, linear between neighbors (definition 7 of Hyndman and Fan,
/// NumPy's default); `None` without values or for a p that is not in `[0, 1]`.
#[must_use]
pub fn quantile(sorted: &[f64], p: f64) -> Option<f64> {
    if sorted.is_empty() || !(0.0..=1.0).contains(&p) {
        return None;
    }
    let place = p * (sorted.len() - 1) as f64;
    let (low, share) = (place.floor() as usize, place.fract());
    let next = sorted[(low + 1).min(sorted.len() - 1)];
    Some(sorted[low] + share * (next - sorted[low]))
}

/// The area under PCK(t) for thresholds t from 0 to `limit`, divided by `limit`, in percent: `100 ·
/// (1/limit) ∫₀^limit PCK(t) dt = 100 · (1/n) Σ max(0, 1 − eᵢ/limit)`. The integral is exact,
/// without a grid of thresholds, and identical for `<` and `<=`. `n` includes missing predictions,
/// which contribute 0; `None` if it is zero.
#[must_use]
pub fn auc(errors: &[f64], n: u64, limit: f64) -> Option<f64> {
    let gains: Vec<f64> =
        sorted(errors).iter().map(|error| (1.0 - error / limit).max(0.0)).collect();
    (n > 0).then(|| 100.0 * sum(&gains) / n as f64)
}

/// Sorted in ascending order, so that results do not depend on the order of the input.
fn sorted(errors: &[f64]) -> Vec<f64> {
    let mut sorted = errors.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// Neumaier's compensated sum: the error does not grow with the number of points.
fn sum(values: &[f64]) -> f64 {
    let (mut total, mut lost) = (0.0_f64, 0.0_f64);
    for &value in values {
        let next = total + value;
        lost += if total.abs() >= value.abs() {
            (total - next) + value
        } else {
            (value - next) + total
        };
        total = next;
    }
    total + lost
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_linear_between_neighbours() {
        let distances = Distances::of(&[4.0, 1.0, 3.0, 2.0]).unwrap();
        assert_eq!((distances.n, distances.mean, distances.median), (4, 2.5, 2.5));
        assert_eq!((distances.p25, distances.p75, distances.max), (1.75, 3.25, 4.0));
        assert_eq!(Distances::of(&[7.0]).unwrap().p95, 7.0);
    }

    #[test]
    fn no_errors_give_none_and_no_nan() {
        assert_eq!(Distances::of(&[]), None);
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[1.0], f64::NAN), None);
        assert_eq!(auc(&[], 0, 0.2), None);
        assert_eq!(auc(&[], 3, 0.2), Some(0.0));
    }

    #[test]
    fn area_equals_a_fine_sum_over_thresholds() {
        let errors: Vec<f64> = (0..97).map(|i| f64::from(i * i % 97) / 300.0).collect();
        let n = 110; // thirteen of them missing
        let steps = 20_000;
        let pck = |t: f64| errors.iter().filter(|error| **error < t).count() as f64 / f64::from(n);
        let fine: f64 =
            (0..steps).map(|i| pck((f64::from(i) + 0.5) / f64::from(steps) * 0.2)).sum::<f64>()
                / f64::from(steps);
        assert!((auc(&errors, 110, 0.2).unwrap() - 100.0 * fine).abs() < 0.01);
    }

    #[test]
    fn the_sum_keeps_small_terms() {
        assert_eq!(sum(&[1.0, 1e100, 1.0, -1e100]), 2.0);
    }
}
