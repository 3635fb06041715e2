//! Shared parts of the policy losses: sequences, batch totals and the clipped ratio.
//!
//! A policy loss is a function of one log-probability per token, so it is computed on the host in
//! f64 with an explicit derivative, which [`with_host_gradient`] passes to the autodiff graph. The
//! graph then contains a single multiplication, and a batch gives the same gradient whether it is
//! processed whole or in micro-batches. Sequence lengths, never token ids, decide which tokens
//! count.

use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::KlEstimator;

/// One completion as a loss sees it: one log-probability in nats per token, including the end
/// token.
#[derive(Clone, Copy, Debug)]
pub struct Sequence<'a> {
    /// Under the weights being trained.
    pub log_probs: &'a [f64],
    /// Under the weights that generated it, computed by the same forward path.
    pub old_log_probs: &'a [f64],
    /// Under the reference.
    pub ref_log_probs: &'a [f64],
    /// Its advantage, shared by all its tokens.
    pub advantage: f64,
}

/// The totals of a whole batch, by which the losses of its micro-batches are normalized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchTotals {
    /// The number of sequences.
    pub n_sequences: usize,
    /// The number of tokens.
    pub n_tokens: usize,
}

impl BatchTotals {
    /// The totals of a batch of sequences with these lengths, in tokens.
    #[must_use]
    pub fn of(lengths: impl IntoIterator<Item = usize>) -> Self {
        lengths.into_iter().fold(Self { n_sequences: 0, n_tokens: 0 }, |whole, length| Self {
            n_sequences: whole.n_sequences + 1,
            n_tokens: whole.n_tokens + length,
        })
    }
}

/// The range around 1 outside which the ratio to the old policy is clipped.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Clip {
    /// How far the ratio may fall below 1, e.g. 0.2.
    pub low: f64,
    /// How far the ratio may rise above 1.
    pub high: f64,
}

/// Options that all losses share.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LossOptions {
    /// `None` disables clipping.
    pub clip: Option<Clip>,
    /// The coefficient of the KL divergence from the reference.
    pub beta: f64,
    /// The estimator of the divergence.
    pub kl: KlEstimator,
    /// The largest absolute log-ratio passed to the estimator, in nats.
    pub kl_limit: f64,
}

impl Default for LossOptions {
    /// The paper's KL coefficient (section on reinforcement learning), with the clip range and the
    /// estimator of GRPO.
    fn default() -> Self {
        Self {
            clip: Some(Clip { low: 0.2, high: 0.2 }),
            beta: 0.1,
            kl: KlEstimator::K3,
            kl_limit: 20.0,
        }
    }
}

/// The loss of some of a batch's sequences. The losses of micro-batches add up to that of the
/// batch.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct PolicyLoss {
    /// The value to minimize.
    pub loss: f64,
    /// The KL divergence that the loss contains, before multiplication by `beta`.
    pub kl: f64,
    /// The number of tokens whose objective was clipped.
    pub n_clipped: usize,
    /// The KL divergence at every token.
    pub token_kl: Vec<Vec<f64>>,
    /// The derivative of the loss with respect to every log-probability.
    pub gradient: Vec<Vec<f64>>,
}

impl PolicyLoss {
    /// A loss with one ratio per token; each token of a sequence has the weight `weight(sequence
    /// length)`.
    pub(crate) fn by_tokens(
        sequences: &[Sequence<'_>],
        options: &LossOptions,
        weight: impl Fn(usize) -> f64,
    ) -> Self {
        let mut sum = Self::default();
        for sequence in sequences {
            let weight = weight(sequence.log_probs.len());
            let mut slopes = sum.add_kl(sequence, options, weight);
            for (slope, (log_prob, old)) in
                slopes.iter_mut().zip(sequence.log_probs.iter().zip(sequence.old_log_probs))
            {
                let gain = Gain::of((log_prob - old).exp(), sequence.advantage, options.clip);
                sum.loss -= weight * gain.value;
                sum.n_clipped += usize::from(gain.clipped);
                // dρ / d log π = ρ
                *slope -= weight * gain.slope;
            }
            sum.gradient.push(slopes);
        }
        sum
    }

    /// Adds the divergence of a sequence and returns `beta` times its derivative.
    pub(crate) fn add_kl(
        &mut self,
        sequence: &Sequence<'_>,
        options: &LossOptions,
        weight: f64,
    ) -> Vec<f64> {
        let at = |(log_prob, reference): (&f64, &f64)| {
            options.kl.at(*log_prob, *reference, options.kl_limit)
        };
        let (values, slopes): (Vec<f64>, Vec<f64>) =
            sequence.log_probs.iter().zip(sequence.ref_log_probs).map(at).unzip();
        let kl = weight * values.iter().sum::<f64>();
        self.kl += kl;
        self.loss += options.beta * kl;
        self.token_kl.push(values);
        slopes.into_iter().map(|slope| options.beta * weight * slope).collect()
    }
}

/// `min(ρ A, clip(ρ) A)`, and its derivative with respect to `log ρ`.
pub(crate) struct Gain {
    pub(crate) value: f64,
    pub(crate) slope: f64,
    pub(crate) clipped: bool,
}

impl Gain {
    pub(crate) fn of(ratio: f64, advantage: f64, clip: Option<Clip>) -> Self {
        let free = ratio * advantage;
        let held =
            clip.map_or(free, |clip| ratio.clamp(1.0 - clip.low, 1.0 + clip.high) * advantage);
        if held < free {
            Self { value: held, slope: 0.0, clipped: true }
        } else {
            Self { value: free, slope: free, clipped: false }
        }
    }
}

/// A scalar in the graph whose derivative with respect to `log_probs` is `gradient`, which connects
/// a loss computed on the host to the weights. Its value, `Σ gradient · log_prob`, has no meaning.
///
/// # Shapes
///
/// - `log_probs`: `[tokens]`
/// - `gradient`: one number per token, rounded to the precision of `log_probs`
/// - output: `[1]`
///
/// # Panics
///
/// If the lengths differ.
#[must_use]
pub fn with_host_gradient(log_probs: Tensor<1>, gradient: &[f64]) -> Tensor<1> {
    assert_eq!(log_probs.dims(), [gradient.len()], "one gradient per log-probability");
    let dtype = log_probs.dtype();
    let gradient = Tensor::from_data(
        TensorData::new(gradient.to_vec(), [gradient.len()]).convert_dtype(dtype),
        (&log_probs.device(), dtype),
    );
    (log_probs * gradient).sum()
}
