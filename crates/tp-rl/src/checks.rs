//! The consistency checks of a training step. A mistake between sampling and update often leaves the
//! loss plausible, so every link of the chain is checked where it can be observed.

use crate::{Link, PolicyLoss, RlError, Rollout, Sample, StepReport, ToScore};

/// The largest difference between policy and reference before the first step, in nats per token,
/// that is attributed to rounding.
const ROUNDING: f64 = 1e-4;

/// The checks of one step. A failed one is an [`RlError::BrokenLink`] or [`RlError::NotFinite`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checks {
    pub(crate) step: u64,
}

impl Checks {
    fn broken(self, link: Link, evidence: String) -> RlError {
        RlError::BrokenLink { step: self.step, link, evidence }
    }

    /// The policy must have trainable tensors, and the judge none.
    pub(crate) fn trainable(self, policy: usize, judge: usize) -> Result<(), RlError> {
        if policy == 0 {
            let evidence = "the policy has no trainable tensor".to_owned();
            return Err(self.broken(Link::Trainable, evidence));
        }
        if judge > 0 {
            let evidence =
                format!("{judge} tensors of the judge are trainable, none is allowed to be");
            return Err(self.broken(Link::Frozen, evidence));
        }
        Ok(())
    }

    /// The sampler must use the trained weights, by their fingerprints.
    pub(crate) fn sampler_weights(self, sampler: u64, trained: u64) -> Result<(), RlError> {
        if sampler == trained {
            return Ok(());
        }
        let evidence = format!(
            "the sampler used weights {sampler:016x}, the trained weights are {trained:016x}"
        );
        Err(self.broken(Link::Sampler, evidence))
    }

    /// Splits the log-probabilities of all tokens by sequence; each has to be finite.
    pub(crate) fn split<I>(
        self,
        values: &[f64],
        sequences: &[ToScore<'_>],
        rollout: &Rollout<I>,
    ) -> Result<Vec<Vec<f64>>, RlError> {
        let n_tokens: usize = sequences.iter().map(|sequence| sequence.tokens.len()).sum();
        if values.len() != n_tokens {
            let evidence =
                format!("{n_tokens} tokens were scored with {} log-probabilities", values.len());
            return Err(self.broken(Link::Masks, evidence));
        }
        let mut rest = values;
        sequences
            .iter()
            .map(|sequence| {
                let (own, others) = rest.split_at(sequence.tokens.len());
                rest = others;
                self.finite("log-probability", own, sequence, rollout)?;
                Ok(own.to_vec())
            })
            .collect()
    }

    /// The derivative of the loss must be finite at every token.
    pub(crate) fn finite_gradient<I>(
        self,
        loss: &PolicyLoss,
        sequences: &[ToScore<'_>],
        rollout: &Rollout<I>,
    ) -> Result<(), RlError> {
        sequences.iter().zip(&loss.gradient).try_for_each(|(sequence, gradient)| {
            self.finite("gradient", gradient, sequence, rollout)
        })
    }

    fn finite<I>(
        self,
        what: &'static str,
        values: &[f64],
        sequence: &ToScore<'_>,
        rollout: &Rollout<I>,
    ) -> Result<(), RlError> {
        match values.iter().find(|value| !value.is_finite()) {
            None => Ok(()),
            Some(&value) => Err(RlError::NotFinite {
                step: self.step,
                what,
                sequence: described(sequence, rollout),
                value,
            }),
        }
    }

    /// Sampler and trainer must agree on the probabilities of the sampled tokens.
    pub(crate) fn sampler_gap(self, mean: f64, limit: f64) -> Result<(), RlError> {
        if mean <= limit {
            return Ok(());
        }
        let evidence = format!(
            "sampler and trainer differ by {mean:.3} nats per token on average, more than {limit}"
        );
        Err(self.broken(Link::Masks, evidence))
    }

    /// Gradients must reach every trainable tensor.
    pub(crate) fn gradients_reach(
        self,
        n_gradients: usize,
        n_trainable: usize,
    ) -> Result<(), RlError> {
        if n_gradients == n_trainable {
            return Ok(());
        }
        let evidence = format!("gradients reach {n_gradients} of {n_trainable} trainable tensors");
        Err(self.broken(Link::Trainable, evidence))
    }

    /// Before the first step, policy and reference must agree.
    pub(crate) fn starts_at_reference(
        self,
        policy: &[Vec<f64>],
        reference: &[Vec<f64>],
    ) -> Result<(), RlError> {
        let differences = policy.iter().flatten().zip(reference.iter().flatten());
        let largest = differences.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        if self.step > 0 || largest <= ROUNDING {
            return Ok(());
        }
        let evidence = format!(
            "before the first step policy and reference differ by up to {largest:.2e} nats per token"
        );
        Err(self.broken(Link::Reference, evidence))
    }

    /// AdamW must hold two moments of every tensor that it updates.
    pub(crate) fn optimizer(
        self,
        report: &StepReport,
        n_moments: usize,
        n_trainable: usize,
    ) -> Result<(), RlError> {
        if report.gradient_norm <= 0.0 || n_moments == 2 * n_trainable {
            return Ok(());
        }
        let evidence = format!(
            "the optimizer holds {n_moments} moments for {n_trainable} trainable tensors, two each are expected"
        );
        Err(self.broken(Link::Trainable, evidence))
    }

    /// The policy's frozen part and the judge must not change, by their fingerprints.
    pub(crate) fn frozen(self, before: [u64; 2], after: [u64; 2]) -> Result<(), RlError> {
        for (at, what) in ["the frozen part of the policy", "the judge"].into_iter().enumerate() {
            if before[at] != after[at] {
                return Err(self.broken(Link::Frozen, format!("{what} has changed")));
            }
        }
        Ok(())
    }

    /// A gradient must change the weights, by their fingerprints.
    pub(crate) fn update(
        self,
        report: &StepReport,
        before: u64,
        after: u64,
    ) -> Result<(), RlError> {
        if report.gradient_norm <= 0.0 || after != before {
            return Ok(());
        }
        let evidence = format!(
            "a gradient of norm {} at learning rate {} changed no weight",
            report.gradient_norm, report.learning_rate
        );
        Err(self.broken(Link::Update, evidence))
    }
}

/// The mean and the largest difference, in nats, between the log-probabilities of the same tokens
/// under the same weights, computed token by token in the sampler and in one pass in the trainer.
pub(crate) fn sampler_gap<'a>(
    samples: impl Iterator<Item = &'a Sample>,
    scored: &[Vec<f64>],
) -> (f64, f64) {
    let sampled = samples.flat_map(|sample| &sample.completion.log_probs);
    let gaps: Vec<f64> = sampled
        .zip(scored.iter().flatten())
        .map(|(sampled, scored)| (f64::from(*sampled) - scored).abs())
        .collect();
    let mean = gaps.iter().sum::<f64>() / gaps.len().max(1) as f64;
    (mean, gaps.iter().copied().fold(0.0, f64::max))
}

/// The description of a sequence in error messages.
fn described<I>(sequence: &ToScore<'_>, rollout: &Rollout<I>) -> String {
    let image = &rollout.images[sequence.image];
    let point = image.points[sequence.point];
    let text = rollout
        .samples
        .iter()
        .find(|sample| {
            (sample.image, sample.point) == (sequence.image, sequence.point)
                && sample.completion.tokens == sequence.tokens
        })
        .map_or("", |sample| sample.completion.text.as_str());
    format!("`{text}` at ({}, {}) of {}", point.x(), point.y(), image.name)
}
