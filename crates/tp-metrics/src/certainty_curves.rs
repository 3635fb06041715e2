//! Curves of stated probabilities: reliability, and risk against coverage.

use serde::{Deserialize, Serialize};

/// The answers of one bin of stated probabilities.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ReliabilityBin {
    /// The number of answers, at least 1.
    pub n: u64,
    /// Their mean stated probability, in `[0, 1]`.
    pub stated: f64,
    /// The share of them that is right, in `[0, 1]`.
    pub right: f64,
}

/// One point of a risk-coverage curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RiskAtCoverage {
    /// The lowest probability that is accepted.
    pub threshold: f64,
    /// The share of all cases that have an accepted answer, in `[0, 1]`.
    pub coverage: f64,
    /// The share of accepted answers that is wrong, in `[0, 1]`.
    pub risk: f64,
}

/// The reliability curve: answers in `n_bins` bins of equal width by stated probability, ascending.
/// Bins without answers are left out. A calibrated model has `right == stated` in each.
///
/// Source: Guo et al., On Calibration of Modern Neural Networks, 2017.
///
/// # Panics
///
/// If the lengths differ, or there are no bins.
#[must_use]
pub fn reliability_curve(
    probabilities: &[f64],
    right: &[bool],
    n_bins: usize,
) -> Vec<ReliabilityBin> {
    assert!(
        probabilities.len() == right.len() && n_bins > 0,
        "as many probabilities as answers, and at least one bin"
    );
    let mut bins = vec![(0_u64, 0.0, 0_u64); n_bins]; // answers, sum of probabilities, right ones
    for (&probability, &right) in probabilities.iter().zip(right) {
        let (n, stated, n_right) =
            &mut bins[((probability * n_bins as f64) as usize).min(n_bins - 1)];
        *n += 1;
        *stated += probability;
        *n_right += u64::from(right);
    }
    bins.into_iter()
        .filter(|&(n, ..)| n > 0)
        .map(|(n, stated, n_right)| ReliabilityBin {
            n,
            stated: stated / n as f64,
            right: n_right as f64 / n as f64,
        })
        .collect()
}

/// The risk-coverage curve: the error rate if only the most certain answers are accepted, one point
/// for each distinct probability, from the most certain on.
///
/// `n_cases` is the number of cases with and without an answer; without "no answer" it is the
/// number of answers, and the last coverage is 1.
///
/// Source: El-Yaniv and Wiener, On the Foundations of Noise-free Selective Classification, 2010.
///
/// # Panics
///
/// If the lengths differ, or there are fewer cases than answers.
#[must_use]
pub fn risk_coverage(probabilities: &[f64], right: &[bool], n_cases: usize) -> Vec<RiskAtCoverage> {
    assert!(
        probabilities.len() == right.len() && n_cases >= right.len(),
        "as many probabilities as answers, and a case for each answer"
    );
    let mut answers: Vec<(f64, bool)> =
        probabilities.iter().copied().zip(right.iter().copied()).collect();
    answers.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut accepted, mut wrong) = (0_usize, 0_usize);
    answers
        // No threshold separates answers of equal probability.
        .chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq())
        .map(|tied| {
            accepted += tied.len();
            wrong += tied.iter().filter(|(_, right)| !right).count();
            RiskAtCoverage {
                threshold: tied[0].0,
                coverage: accepted as f64 / n_cases as f64,
                risk: wrong as f64 / accepted as f64,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reliability_is_the_mean_of_each_bin() {
        // Two bins: 0.2 and 0.4 with one right of two, 0.9 and 1.0 with two right of two.
        let bins = reliability_curve(&[0.2, 0.9, 0.4, 1.0], &[true, true, false, true], 2);
        let numbers: Vec<_> = bins.iter().map(|bin| (bin.n, bin.stated, bin.right)).collect();
        assert_eq!(numbers.len(), 2);
        assert!((numbers[0].1 - 0.3).abs() < 1e-12 && (numbers[1].1 - 0.95).abs() < 1e-12);
        assert_eq!([numbers[0].0, numbers[1].0], [2, 2]);
        assert_eq!([numbers[0].2, numbers[1].2], [0.5, 1.0]);
    }

    #[test]
    fn bins_without_answers_are_left_out() {
        assert_eq!(reliability_curve(&[0.95], &[false], 10).len(), 1);
        assert!(reliability_curve(&[], &[], 10).is_empty());
    }

    #[test]
    fn risk_counts_the_wrong_among_the_most_certain() {
        // Five cases, one without an answer. By probability: 0.9 right; 0.7 wrong and 0.7 right,
        // which no threshold separates; 0.1 wrong.
        let curve = risk_coverage(&[0.7, 0.1, 0.9, 0.7], &[false, false, true, true], 5);
        let numbers: Vec<_> = curve.iter().map(|at| (at.threshold, at.coverage, at.risk)).collect();
        assert_eq!(numbers, [(0.9, 0.2, 0.0), (0.7, 0.6, 1.0 / 3.0), (0.1, 0.8, 0.5)]);
        assert!(risk_coverage(&[], &[], 3).is_empty());
    }
}
