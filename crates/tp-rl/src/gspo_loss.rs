//! GSPO's loss: one importance ratio per sequence.
//!
//! Source: Group Sequence Policy Optimization (arXiv 2507.18071).

use crate::{BatchTotals, LossOptions, PolicyLoss, Sequence, policy_loss::Gain};

/// `−(1/N) Σᵢ [ min(sᵢ Aᵢ, clip(sᵢ) Aᵢ) − β (1/|oᵢ|) Σₜ KL ]`, with `sᵢ = exp((1/|oᵢ|) Σₜ log ρ)`.
///
/// Ratios of whole sequences stay near 1, so the clip range has to be narrow: the authors use 3e-4
/// and 4e-4.
#[must_use]
pub fn gspo_loss(
    sequences: &[Sequence<'_>],
    whole: BatchTotals,
    options: &LossOptions,
) -> PolicyLoss {
    let mut sum = PolicyLoss::default();
    for sequence in sequences {
        let n_tokens = sequence.log_probs.len();
        let of_sequence = 1.0 / whole.n_sequences as f64;
        let of_token = of_sequence / n_tokens as f64;
        let mut slopes = sum.add_kl(sequence, options, of_token);
        let log_ratio = sequence
            .log_probs
            .iter()
            .zip(sequence.old_log_probs)
            .map(|(new, old)| new - old)
            .sum::<f64>()
            / n_tokens as f64;
        let gain = Gain::of(log_ratio.exp(), sequence.advantage, options.clip);
        sum.loss -= of_sequence * gain.value;
        sum.n_clipped += if gain.clipped { n_tokens } else { 0 };
        slopes.iter_mut().for_each(|slope| *slope -= of_token * gain.slope);
        sum.gradient.push(slopes);
    }
    sum
}
