//! Calibration of probabilities, and discrimination between answerable and unanswerable questions.

/// The expected calibration error: the difference between stated probabilities and observed
/// accuracy, in `[0, 1]`.
///
/// Answers are sorted into `n_bins` bins of equal width by probability. The absolute difference
/// between mean probability and accuracy is averaged over bins, weighted by their sizes. `None`
/// without answers.
///
/// Source: Guo et al., On Calibration of Modern Neural Networks, 2017.
///
/// # Panics
///
/// If the lengths differ, or there are no bins.
#[must_use]
pub fn expected_calibration_error(
    probabilities: &[f64],
    right: &[bool],
    n_bins: usize,
) -> Option<f64> {
    assert!(
        probabilities.len() == right.len() && n_bins > 0,
        "as many probabilities as answers, and at least one bin"
    );
    let mut bins = vec![(0.0, 0.0); n_bins]; // the sums of probabilities and of right answers
    for (&probability, &right) in probabilities.iter().zip(right) {
        let bin = ((probability * n_bins as f64) as usize).min(n_bins - 1);
        bins[bin].0 += probability;
        bins[bin].1 += f64::from(u8::from(right));
    }
    (!right.is_empty()).then(|| {
        bins.iter().map(|(stated, true_)| (stated - true_).abs()).sum::<f64>() / right.len() as f64
    })
}

/// The area under the ROC curve: the probability that a positive case has a higher score than a
/// negative one, with ties counting half. `None` unless there are cases of both kinds.
///
/// # Panics
///
/// If the lengths differ.
#[must_use]
pub fn auroc(scores: &[f64], positive: &[bool]) -> Option<f64> {
    assert_eq!(scores.len(), positive.len(), "one score for every case");
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let n_positive = positive.iter().filter(|&&positive| positive).count();
    let n_negative = positive.len() - n_positive;
    let (mut rank_sum, mut n_before) = (0.0, 0);
    for tied in order.chunk_by(|&a, &b| scores[a].total_cmp(&scores[b]).is_eq()) {
        // Ranks count from 1; tied cases share the mean of theirs.
        let mean_rank = n_before as f64 + (tied.len() as f64 + 1.0) / 2.0;
        n_before += tied.len();
        rank_sum += mean_rank * tied.iter().filter(|&&at| positive[at]).count() as f64;
    }
    let (p, n) = (n_positive as f64, n_negative as f64);
    (n_positive > 0 && n_negative > 0).then(|| (rank_sum - p * (p + 1.0) / 2.0) / (p * n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calibration_error_is_the_weighted_distance_of_bins() {
        // Two bins: 0.2 and 0.4 with one right of two (off by 0.2), 0.9 with one right of one (off
        // by 0.1).
        let error = expected_calibration_error(&[0.2, 0.4, 0.9], &[true, false, true], 2).unwrap();
        assert!((error - (0.4 + 0.1) / 3.0).abs() < 1e-12, "{error}");
        assert_eq!(expected_calibration_error(&[1.0, 0.0], &[true, false], 10), Some(0.0));
        assert_eq!(expected_calibration_error(&[], &[], 10), None);
    }

    #[test]
    fn area_counts_ordered_pairs() {
        // Of the pairs (0.8, 0.3), (0.8, 0.5), (0.5, 0.3), (0.5, 0.5) three are in order and one is
        // tied.
        assert_eq!(auroc(&[0.3, 0.8, 0.5, 0.5], &[false, true, true, false]), Some(3.5 / 4.0));
        assert_eq!(auroc(&[0.1, 0.2], &[true, false]), Some(0.0));
        assert_eq!(auroc(&[0.1, 0.2], &[true, true]), None);
    }
}
