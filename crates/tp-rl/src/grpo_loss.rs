//! The paper's loss: every completion has the same weight, regardless of its length.
//!
//! Sources: Talking Points, section on reinforcement learning; GRPO (DeepSeekMath, arXiv
//! 2402.03300).

use crate::{BatchTotals, LossOptions, PolicyLoss, Sequence};

/// `−(1/N) Σᵢ (1/|oᵢ|) Σₜ [ min(ρ Aᵢ, clip(ρ) Aᵢ) − β KL ]`, with the per-token ratio `ρ = π /
/// π_old`.
///
/// `N` is [`BatchTotals::n_sequences`], so the losses of micro-batches add up to that of the batch.
#[must_use]
pub fn grpo_loss(
    sequences: &[Sequence<'_>],
    whole: BatchTotals,
    options: &LossOptions,
) -> PolicyLoss {
    PolicyLoss::by_tokens(sequences, options, |length| 1.0 / (whole.n_sequences * length) as f64)
}
