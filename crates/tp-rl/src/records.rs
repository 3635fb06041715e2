//! What is written down of every step and every sample. No time is in here: a resumed run writes
//! the same bytes.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tp_core::UnitXy;
use tp_train::rounded;

use crate::{Reward, Rollout, Sample, StyleReport};

/// One step, a line of `steps.jsonl`; numbers have nine significant digits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StepReport {
    /// Counted from 1.
    pub step: u64,
    /// The loss that the update went down.
    pub loss: f64,
    /// The divergence from the reference, by the estimator in use, in nats a token.
    pub kl: f64,
    /// The mean reward of the scored samples.
    pub reward: f64,
    /// The mean deviation of rewards within groups.
    pub reward_std: f64,
    /// The mean distance of the located samples, in the unit square; 0 if none is located.
    pub distance: f64,
    /// Samples in all.
    pub n_samples: usize,
    /// Samples without a reward.
    pub n_unscorable: usize,
    /// Groups below the spread floor.
    pub n_below_floor: usize,
    /// The share of groups whose rewards are all equal.
    pub frac_zero_std: f64,
    /// How much the epsilon bites, 0 to 1.
    pub epsilon_share: f64,
    /// The share of tokens whose gain was clipped, over all inner steps.
    pub clipped: f64,
    /// The mean difference between sampler and trainer, in nats a token.
    pub gap_mean: f64,
    /// The largest one.
    pub gap_max: f64,
    /// The norm of the gradient before clipping, of the last inner step.
    pub gradient_norm: f64,
    /// The learning rate.
    pub learning_rate: f64,
    /// The mean number of tokens of a sample.
    pub mean_tokens: f64,
    /// The share of samples that ended by themselves.
    pub finished: f64,
    /// What the texts look like.
    pub style: StyleReport,
    /// Of the weights after the step.
    pub fingerprint: String,
}

impl StepReport {
    pub(crate) fn rounded(self) -> Self {
        let style = StyleReport {
            with_digits: rounded(self.style.with_digits),
            with_coordinates: rounded(self.style.with_coordinates),
            overlap: rounded(self.style.overlap),
            mean_words: rounded(self.style.mean_words),
            distinct: rounded(self.style.distinct),
        };
        Self {
            loss: rounded(self.loss),
            kl: rounded(self.kl),
            reward: rounded(self.reward),
            reward_std: rounded(self.reward_std),
            distance: rounded(self.distance),
            frac_zero_std: rounded(self.frac_zero_std),
            epsilon_share: rounded(self.epsilon_share),
            clipped: rounded(self.clipped),
            gap_mean: rounded(self.gap_mean),
            gap_max: rounded(self.gap_max),
            gradient_norm: rounded(self.gradient_norm),
            mean_tokens: rounded(self.mean_tokens),
            finished: rounded(self.finished),
            style,
            ..self
        }
    }
}

/// One sample, a line of `samples.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SampleRecord {
    /// The step that it was written in, counted from 1.
    pub step: u64,
    /// Names the image.
    pub image: String,
    /// The point that it describes.
    pub point: UnitXy,
    /// The description.
    pub text: String,
    /// How many tokens it has, the end token included.
    pub tokens: usize,
    /// Whether it ended by itself.
    pub finished: bool,
    /// Where the judge found it.
    pub located: Option<UnitXy>,
    /// How sure the judge was.
    pub confidence: Option<f32>,
    /// Every reward term by its name, unweighted.
    pub terms: Map<String, Value>,
    /// The weighted sum; absent if unscorable.
    pub reward: Option<f64>,
    /// How much better than its group; absent if it was left out of the loss.
    pub advantage: Option<f64>,
    /// The sum of its tokens' log-probabilities when it was sampled, in nats.
    pub log_prob: f64,
}

impl SampleRecord {
    pub(crate) fn of<I>(
        step: u64,
        rollout: &Rollout<I>,
        sample: &Sample,
        reward: &Reward,
        advantage: Option<f64>,
    ) -> Self {
        let number = |value: Option<f64>| value.map_or(Value::Null, |value| rounded(value).into());
        Self {
            step,
            image: rollout.images[sample.image].name.clone(),
            point: rollout.truth(sample),
            text: sample.completion.text.clone(),
            tokens: sample.completion.tokens.len(),
            finished: sample.completion.finished,
            located: sample.located.map(|located| located.point),
            confidence: sample.located.and_then(|located| located.confidence),
            terms: reward
                .names()
                .zip(&sample.terms)
                .map(|((name, _), term)| (name.to_owned(), number(*term)))
                .collect(),
            reward: sample.reward.map(rounded),
            advantage: advantage.map(rounded),
            log_prob: rounded(
                sample.completion.log_probs.iter().map(|&log_prob| f64::from(log_prob)).sum(),
            ),
        }
    }
}
