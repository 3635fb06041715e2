//! What every loss of this crate is made of: sequences, the batch that they are a part of, and the
//! clipped ratio.
//!
//! A policy loss is a function of one number a token, so it is computed on the host in f64, with
//! its derivative written out; [`with_host_gradient`] then hands the derivative to the graph. The
//! graph sees one multiplication, and a batch gives the same gradient whole or in parts. Which
//! tokens count is decided by the lengths of the sequences, never by token ids.

use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::KlEstimator;

/// One completion as a loss sees it: log-probabilities in nats, one a token, the end token
/// included.
#[derive(Clone, Copy, Debug)]
pub struct Sequence<'a> {
    /// Under the weights that learn.
    pub log_probs: &'a [f64],
    /// Under the weights that wrote it, by the same forward path.
    pub old_log_probs: &'a [f64],
    /// Under the reference.
    pub ref_log_probs: &'a [f64],
    /// How much better than its group it is; every token has it.
    pub advantage: f64,
}

/// The batch that all micro-batches of a step make up: its size decides what each of them counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchTotals {
    /// Sequences in all.
    pub n_sequences: usize,
    /// Tokens in all.
    pub n_tokens: usize,
}

impl BatchTotals {
    /// The batch of these lengths, in tokens.
    #[must_use]
    pub fn of(lengths: impl IntoIterator<Item = usize>) -> Self {
        lengths.into_iter().fold(Self { n_sequences: 0, n_tokens: 0 }, |whole, length| Self {
            n_sequences: whole.n_sequences + 1,
            n_tokens: whole.n_tokens + length,
        })
    }
}

/// How far the ratio to the old policy may go before it gains nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Clip {
    /// How far the ratio may fall below 1, e.g. 0.2.
    pub low: f64,
    /// Above 1.
    pub high: f64,
}

/// What all losses have in common.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LossOptions {
    /// `None`: the ratio is never clipped.
    pub clip: Option<Clip>,
    /// How much the divergence from the reference counts.
    pub beta: f64,
    /// How that divergence is estimated.
    pub kl: KlEstimator,
    /// The largest log-ratio that the estimate sees, in nats.
    pub kl_limit: f64,
}

impl Default for LossOptions {
    /// The paper's weight of the divergence (section on reinforcement learning); clip and estimator
    /// are those of GRPO.
    fn default() -> Self {
        Self {
            clip: Some(Clip { low: 0.2, high: 0.2 }),
            beta: 0.1,
            kl: KlEstimator::K3,
            kl_limit: 20.0,
        }
    }
}

/// A loss on some sequences of a batch. Losses of micro-batches add up to that of the whole.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PolicyLoss {
    /// To be minimised.
    pub loss: f64,
    /// The divergence that the loss contains, before `beta`.
    pub kl: f64,
    /// Tokens whose gain was cut off by the clip.
    pub n_clipped: usize,
    /// The divergence at every token.
    pub token_kl: Vec<Vec<f64>>,
    /// The derivative of the loss with respect to every log-probability.
    pub gradient: Vec<Vec<f64>>,
}

impl PolicyLoss {
    /// A loss in which every token has a ratio of its own; a token of a sequence counts
    /// `weight(sequence length)`.
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

    /// Adds the divergence of a sequence; gives `beta` times its derivative.
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

/// A number in the graph whose derivative with respect to `log_probs` is `gradient`: the way from a
/// loss on the host to the weights. Its value, `Σ gradient · log_prob`, means nothing.
///
/// # Shapes
///
/// - `log_probs`: `[tokens]`
/// - `gradient`: one number a token, rounded to the precision of `log_probs`
/// - output: `[1]`
///
/// # Panics
///
/// If there are not as many numbers as tokens.
#[must_use]
pub fn with_host_gradient(log_probs: Tensor<1>, gradient: &[f64]) -> Tensor<1> {
    assert_eq!(log_probs.dims(), [gradient.len()], "one number a token");
    let dtype = log_probs.dtype();
    let gradient = Tensor::from_data(
        TensorData::new(gradient.to_vec(), [gradient.len()]).convert_dtype(dtype),
        (&log_probs.device(), dtype),
    );
    (log_probs * gradient).sum()
}
