//! Dr. GRPO's loss: sums over tokens are divided by a constant, so that the length of a completion
//! does not bias the gradient.
//!
//! Source: "Understanding R1-Zero-Like Training" (arXiv 2503.20783). Its advantages are not divided
//! by a standard deviation: see [`Scale::None`](crate::Scale::None).

use crate::{BatchTotals, LossOptions, PolicyLoss, Sequence};

/// `−(1/(N L)) Σᵢ Σₜ [ min(ρ Aᵢ, clip(ρ) Aᵢ) − β KL ]`, with `L` the maximum number of tokens of a
/// completion.
#[must_use]
pub fn dr_grpo_loss(
    sequences: &[Sequence<'_>],
    whole: BatchTotals,
    max_new_tokens: usize,
    options: &LossOptions,
) -> PolicyLoss {
    PolicyLoss::by_tokens(sequences, options, |_| 1.0 / (whole.n_sequences * max_new_tokens) as f64)
}
