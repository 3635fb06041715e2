//! The records of every step and every sample. They contain no times, so that a resumed run writes
//! the same bytes.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tp_core::UnitXy;
use tp_train::rounded;

use crate::{Reward, Rollout, Sample, StyleReport};

/// One step: a line of `steps.jsonl`. Numbers have nine significant digits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StepReport {
    /// Counted from 1.
    pub step: u64,
    /// The loss before the update.
    pub loss: f64,
    /// The KL divergence from the reference by the configured estimator, in nats per token.
    pub kl: f64,
    /// The mean reward of the scored samples.
    pub reward: f64,
    /// The mean standard deviation of rewards within groups.
    pub reward_std: f64,
    /// The mean distance of the located samples, in the unit square; 0 if none was located.
    pub distance: f64,
    /// The number of samples.
    pub n_samples: usize,
    /// The number of samples without a reward.
    pub n_unscorable: usize,
    /// The number of groups below the spread floor.
    pub n_below_floor: usize,
    /// The share of groups whose rewards are all equal.
    pub frac_zero_std: f64,
    /// The mean share of epsilon in the divisor of the advantages, 0 to 1.
    pub epsilon_share: f64,
    /// The share of tokens whose objective was clipped, over all inner steps.
    pub clipped: f64,
    /// The mean difference between the log-probabilities of sampler and trainer, in nats per token.
    pub gap_mean: f64,
    /// The largest such difference.
    pub gap_max: f64,
    /// The gradient norm before clipping, of the last inner step.
    pub gradient_norm: f64,
    /// The learning rate.
    pub learning_rate: f64,
    /// The mean number of tokens per sample.
    pub mean_tokens: f64,
    /// The share of samples that ended with the end token.
    pub finished: f64,
    /// Statistics of the texts.
    pub style: StyleReport,
    /// A hash of the weights after the step.
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

/// One sample: a line of `samples.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SampleRecord {
    /// The step in which it was generated, counted from 1.
    pub step: u64,
    /// The name of the image.
    pub image: String,
    /// The described point.
    pub point: UnitXy,
    /// The description.
    pub text: String,
    /// The number of tokens, including the end token.
    pub tokens: usize,
    /// Whether it ended with the end token.
    pub finished: bool,
    /// Where the judge located it.
    pub located: Option<UnitXy>,
    /// The judge's confidence.
    pub confidence: Option<f32>,
    /// Every reward term by its name, before weighting.
    pub terms: Map<String, Value>,
    /// The weighted sum of the terms; absent if unscorable.
    pub reward: Option<f64>,
    /// Its advantage; absent if it was left out of the loss.
    pub advantage: Option<f64>,
    /// The sum of the log-probabilities of its tokens when it was sampled, in nats.
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
