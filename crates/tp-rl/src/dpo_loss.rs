//! Direct preference optimization on the best and the worst completion of each group: a baseline
//! for GRPO.
//!
//! Source: DPO (arXiv 2305.18290); the preference is the judge's reward.

use crate::{BatchTotals, LossOptions, PolicyLoss, Sequence};

/// `−(1/P) Σ ln σ(z)` with `z = β [(log π − log π_ref)(preferred) − (log π − log
/// π_ref)(rejected)]`, where the log-probabilities are summed over the tokens of each completion
/// and `P` is the number of pairs in the batch, half of [`BatchTotals::n_sequences`].
///
/// Sequences come in pairs; the one with the larger advantage is preferred
/// ([`Scale::Pair`](crate::Scale::Pair)). The KL divergence is reported but is not part of the
/// loss, in which `beta` has a different meaning.
///
/// # Panics
///
/// If the number of sequences is odd.
#[must_use]
pub fn dpo_loss(
    sequences: &[Sequence<'_>],
    whole: BatchTotals,
    options: &LossOptions,
) -> PolicyLoss {
    assert!(
        sequences.len().is_multiple_of(2),
        "{} sequences cannot be split into pairs",
        sequences.len()
    );
    let of_pair = 2.0 / whole.n_sequences as f64;
    let mut sum = PolicyLoss::default();
    for pair in sequences.chunks_exact(2) {
        let gain = |sequence: &Sequence<'_>| {
            sequence
                .log_probs
                .iter()
                .zip(sequence.ref_log_probs)
                .map(|(ours, other)| ours - other)
                .sum::<f64>()
        };
        let sign = if pair[0].advantage >= pair[1].advantage { 1.0 } else { -1.0 };
        let z = sign * options.beta * (gain(&pair[0]) - gain(&pair[1]));
        // −ln σ(z), computed without overflow for either sign
        sum.loss += of_pair * ((-z.abs()).exp().ln_1p() + (-z).max(0.0));
        let slope = of_pair * options.beta * sign / (1.0 + z.exp());
        for (sequence, slope) in pair.iter().zip([-slope, slope]) {
            let n_tokens = sequence.log_probs.len();
            let silent = LossOptions { beta: 0.0, ..*options };
            sum.add_kl(sequence, &silent, 1.0 / (whole.n_sequences * n_tokens) as f64);
            sum.gradient.push(vec![slope; n_tokens]);
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: BatchTotals = BatchTotals { n_sequences: 2, n_tokens: 3 };

    fn loss(preferred: &[f64], other: &[f64], swapped: bool) -> PolicyLoss {
        let options = LossOptions { beta: 0.5, ..Default::default() };
        let zeros = [0.0; 2];
        let sequence = |log_probs, advantage| Sequence {
            log_probs,
            old_log_probs: log_probs,
            ref_log_probs: &zeros[..log_probs.len()],
            advantage,
        };
        let mut pair = [sequence(preferred, 1.0), sequence(other, -1.0)];
        if swapped {
            pair.swap(0, 1);
        }
        dpo_loss(&pair, WHOLE, &options)
    }

    #[test]
    fn pair_by_hand_in_either_order() {
        // z = 0.5 (−0.4 + 1.4) = 0.5
        let expected = (1.0 + (-0.5f64).exp()).ln();
        for swapped in [false, true] {
            assert!((loss(&[-0.4], &[-0.9, -0.5], swapped).loss - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn slopes_are_the_derivative_and_sum_over_the_tokens() {
        let at = |step: f64| loss(&[-0.4 + step], &[-0.9, -0.5], false).loss;
        let slope = loss(&[-0.4], &[-0.9, -0.5], false).gradient;
        assert!((slope[0][0] - (at(1e-6) - at(-1e-6)) / 2e-6).abs() < 1e-8);
        assert_eq!(slope[1], vec![-slope[0][0]; 2]);
    }

    #[test]
    fn hopeless_pairs_stay_finite() {
        let hopeless = loss(&[-1e6], &[0.0], false);
        assert!((hopeless.loss - 5e5).abs() < 1.0 && hopeless.gradient[0][0].is_finite());
    }
}
