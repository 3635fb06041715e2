//! DAPO's loss: every token has the same weight, so longer completions count more.
//!
//! Source: DAPO (arXiv 2503.14476), token-level policy gradient; its upper clip bound is larger
//! than its lower one.

use crate::{BatchTotals, LossOptions, PolicyLoss, Sequence};

/// `−(1/T) Σᵢ Σₜ [ min(ρ Aᵢ, clip(ρ) Aᵢ) − β KL ]`, with `T` all tokens of the batch,
/// [`BatchTotals::n_tokens`].
#[must_use]
pub fn dapo_loss(
    sequences: &[Sequence<'_>],
    whole: BatchTotals,
    options: &LossOptions,
) -> PolicyLoss {
    PolicyLoss::by_tokens(sequences, options, |_| 1.0 / whole.n_tokens as f64)
}
