//! The settings of a reinforcement run.

use serde::{Deserialize, Serialize};
use tp_core::{Sampling, Seed};
use tp_train::{Schedule, TrainConfig};

use crate::{
    AdvantageConfig, BatchTotals, Clip, LossOptions, PolicyLoss, RlError, Scale, Sequence,
    dapo_loss, dpo_loss, dr_grpo_loss, grpo_loss, gspo_loss,
};

/// The loss; each is a function of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// [`grpo_loss`], the paper's loss.
    #[default]
    Grpo,
    /// [`dapo_loss`]
    Dapo,
    /// [`dr_grpo_loss`]
    DrGrpo,
    /// [`gspo_loss`]
    Gspo,
    /// [`dpo_loss`], with [`Scale::Pair`]
    Dpo,
}

/// The settings of a reinforcement run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GrpoConfig {
    /// Completions per point.
    pub group_size: usize,
    /// Images per step.
    pub images_per_step: usize,
    /// Sequences per forward pass; affects memory, not the result.
    pub micro_batch: usize,
    /// Updates per batch of completions; from the second on, the ratio to the old policy differs
    /// from 1.
    pub inner_steps: usize,
    /// The maximum number of tokens of a completion, including the end token.
    pub max_new_tokens: usize,
    /// How completions are sampled. Any setting other than temperature 1 over the full distribution
    /// samples from a different policy than the one being trained.
    pub sampling: Sampling,
    /// How advantages are computed from rewards.
    pub advantage: AdvantageConfig,
    /// The loss.
    pub algorithm: Algorithm,
    /// Ratio clipping and KL divergence.
    pub loss: LossOptions,
    /// The largest mean difference, in nats, between the log-probabilities of a token in the
    /// sampler and in the trainer.
    pub gap_limit: f64,
    /// Optimizer, schedule, checkpoints and seed. `accumulate` and `groups` are ignored here.
    pub training: TrainConfig,
}

impl GrpoConfig {
    /// The paper's settings where it states them: three completions per point, beta 0.1, learning
    /// rate 5e-6 (three epochs: [`steps_of`](Self::steps_of)). The clip range is GRPO's default;
    /// with one update per batch it has no effect.
    #[must_use]
    pub fn paper(steps: u64, seed: Seed) -> Self {
        let schedule = Schedule { peak: 5e-6, warmup: 0, steps, floor: 1.0 };
        Self {
            group_size: 3,
            images_per_step: 4,
            micro_batch: 64,
            inner_steps: 1,
            max_new_tokens: 256,
            sampling: Sampling::at_temperature(1.0),
            advantage: AdvantageConfig::default(),
            algorithm: Algorithm::Grpo,
            loss: LossOptions::default(),
            gap_limit: 0.1,
            training: TrainConfig {
                weight_decay: 0.0,
                beta_2: 0.999,
                checkpoint_every: 25,
                ..TrainConfig::new("grpo", schedule, seed)
            },
        }
    }

    /// The number of steps that cover a source of `n_images` images `epochs` times, rounded up.
    #[must_use]
    pub fn steps_of(&self, epochs: u64, n_images: usize) -> u64 {
        (epochs * n_images as u64).div_ceil(self.images_per_step as u64)
    }

    /// Sequences per forward pass; both sequences of a pair stay together.
    pub(crate) fn sequences_per_pass(&self) -> usize {
        if self.algorithm == Algorithm::Dpo {
            (self.micro_batch / 2).max(1) * 2
        } else {
            self.micro_batch
        }
    }

    /// The loss of some of a batch's sequences.
    pub(crate) fn loss_of(&self, sequences: &[Sequence<'_>], whole: BatchTotals) -> PolicyLoss {
        match self.algorithm {
            Algorithm::Grpo => grpo_loss(sequences, whole, &self.loss),
            Algorithm::Dapo => dapo_loss(sequences, whole, &self.loss),
            Algorithm::DrGrpo => dr_grpo_loss(sequences, whole, self.max_new_tokens, &self.loss),
            Algorithm::Gspo => gspo_loss(sequences, whole, &self.loss),
            Algorithm::Dpo => dpo_loss(sequences, whole, &self.loss),
        }
    }

    /// # Errors
    ///
    /// [`RlError::Setting`] for the first invalid setting.
    pub(crate) fn validate(&self) -> Result<(), RlError> {
        let from_0 = |value: f64| value.is_finite() && value >= 0.0;
        let Clip { low, high } = self.loss.clip.unwrap_or(Clip { low: 0.0, high: 0.0 });
        let rules: [(&'static str, f64, bool, &'static str); 16] = [
            (
                "group_size",
                self.group_size as f64,
                self.group_size >= 2,
                "at least 2, because a completion is compared with its group",
            ),
            (
                "images_per_step",
                self.images_per_step as f64,
                self.images_per_step > 0,
                "at least 1",
            ),
            ("micro_batch", self.micro_batch as f64, self.micro_batch > 0, "at least 1"),
            (
                "advantage.scale",
                0.0,
                (self.algorithm == Algorithm::Dpo) == (self.advantage.scale == Scale::Pair),
                "`pair` for dpo, and for dpo alone",
            ),
            ("inner_steps", self.inner_steps as f64, self.inner_steps > 0, "at least 1"),
            ("max_new_tokens", self.max_new_tokens as f64, self.max_new_tokens > 0, "at least 1"),
            (
                "sampling.temperature",
                self.sampling.temperature.into(),
                self.sampling.temperature > 0.0,
                "above 0, because greedy samples are all equal",
            ),
            (
                "advantage.epsilon",
                self.advantage.epsilon,
                from_0(self.advantage.epsilon),
                "a finite number of at least 0",
            ),
            (
                "advantage.spread_floor",
                self.advantage.spread_floor,
                from_0(self.advantage.spread_floor),
                "a finite distance of at least 0",
            ),
            ("loss.clip.low", low, (0.0..=1.0).contains(&low), "from 0 to 1"),
            ("loss.clip.high", high, from_0(high), "a finite number of at least 0"),
            ("loss.beta", self.loss.beta, from_0(self.loss.beta), "a finite number of at least 0"),
            (
                "loss.kl_limit",
                self.loss.kl_limit,
                self.loss.kl_limit > 0.0 && self.loss.kl_limit <= 80.0,
                "above 0 and at most 80",
            ),
            ("gap_limit", self.gap_limit, self.gap_limit > 0.0, "a finite number above 0"),
            (
                "training.schedule.peak",
                self.training.schedule.peak,
                from_0(self.training.schedule.peak),
                "a finite number of at least 0",
            ),
            (
                "training.clip_norm",
                self.training.clip_norm,
                self.training.clip_norm > 0.0,
                "a finite number above 0",
            ),
        ];
        match rules.into_iter().find(|(_, _, fine, _)| !fine) {
            Some((name, value, _, accepted)) => Err(RlError::Setting { name, value, accepted }),
            None => Ok(()),
        }
    }

    pub(crate) fn to_text(&self) -> String {
        serde_json::to_string(self).expect("a struct of numbers and strings has a JSON form")
    }

    /// The first setting that differs from those of a saved run, described in words, or `None`. The
    /// checkpoint interval and the number of sequences per pass may change.
    pub(crate) fn difference(&self, saved: &str) -> Option<String> {
        let Ok(saved) = serde_json::from_str::<Self>(saved) else {
            return Some("its settings cannot be read".to_owned());
        };
        // Both sides are parsed from text, because parsing may change the last digit of a number.
        let Ok(ours) = serde_json::from_str::<Self>(&self.to_text()) else {
            return Some("these settings have no text form".to_owned());
        };
        let neutral = |config: Self| Self {
            training: TrainConfig {
                name: String::new(),
                checkpoint_every: 0,
                keep: 1,
                evaluate_every: 0,
                prefetch: 0,
                ..config.training
            },
            ..config
        };
        let value = |config: Self| serde_json::to_value(neutral(config)).unwrap_or_default();
        let (ours, saved) = (value(ours), value(saved));
        let changed: Vec<String> = ours
            .as_object()?
            .iter()
            .filter(|(name, value)| saved.get(name) != Some(value))
            .map(|(name, value)| format!("{name} was {}, is {value}", saved[name.as_str()]))
            .collect();
        (!changed.is_empty()).then(|| changed.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paper_settings_are_those_it_names() {
        let config = GrpoConfig::paper(10, Seed(0));
        assert_eq!(
            (config.group_size, config.loss.beta, config.training.schedule.peak),
            (3, 0.1, 5e-6)
        );
        assert_eq!(config.training.schedule.rate(9), 5e-6);
        assert_eq!(config.steps_of(3, 10), 8); // 30 images, 4 a step
        config.validate().unwrap();
    }

    #[test]
    fn senseless_settings_are_named() {
        let config = GrpoConfig::paper(10, Seed(0));
        for (config, name) in [
            (GrpoConfig { group_size: 1, ..config.clone() }, "group_size"),
            (
                GrpoConfig { sampling: Sampling::default(), ..config.clone() },
                "sampling.temperature",
            ),
            (
                GrpoConfig {
                    loss: LossOptions { beta: f64::NAN, ..config.loss },
                    ..config.clone()
                },
                "loss.beta",
            ),
        ] {
            assert!(config.validate().unwrap_err().to_string().contains(name));
        }
    }

    #[test]
    fn difference_names_what_changes_the_result_and_nothing_else() {
        let config = GrpoConfig::paper(10, Seed(0));
        let saved = config.to_text();
        let mut other = config.clone();
        other.training.checkpoint_every = 3;
        assert_eq!(other.difference(&saved), None);
        other.group_size = 4;
        assert_eq!(other.difference(&saved).unwrap(), "group_size was 3, is 4");
    }
}
