//! One GRPO step: sample, score, compute advantages, update.

use std::time::{Duration, Instant};

use burn::optim::{GradientsAccumulator, GradientsParams, ModuleOptimizer};
use rand::seq::SliceRandom;
use tp_train::{adamw, clip_gradients, gradient_norm};

use crate::{
    Advantages, BatchTotals, GrpoConfig, Judge, PointSource, PointsOfImage, Policy, PolicyLoss,
    Reward, RlError, Rollout, SampleOptions, SampleRecord, Sequence, SpreadReport, StepReport,
    StyleMonitor, ToScore, WhichWeights, advantages,
    checks::{Checks, sampler_gap},
    fingerprint, n_trainable, roll_out, with_host_gradient,
};

/// The components of a reinforcement run.
#[derive(Debug)]
pub struct GrpoParts<'a, P, J, S> {
    /// The model that is trained.
    pub policy: &'a P,
    /// The frozen Localizer that provides the reward.
    pub judge: &'a J,
    /// The source of images.
    pub source: &'a S,
    /// The reward of a description.
    pub reward: &'a Reward,
    /// Compares texts with the style that the judge was trained on.
    pub style: &'a StyleMonitor,
}

impl<P, J, S> Clone for GrpoParts<'_, P, J, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P, J, S> Copy for GrpoParts<'_, P, J, S> {}

/// The result of one step.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StepOutcome {
    /// The statistics of the step.
    pub report: StepReport,
    /// Every sample.
    pub samples: Vec<SampleRecord>,
    /// Time spent on sampling and judging.
    pub rollout_time: Duration,
    /// Time spent on scoring and updating.
    pub update_time: Duration,
}

/// The state of a reinforcement run.
pub struct Trainer<'a, P: Policy, J, S> {
    parts: GrpoParts<'a, P, J, S>,
    config: GrpoConfig,
    weights: P::Weights,
    optimizer: ModuleOptimizer,
    step: u64,
    /// Fingerprints of the policy's frozen part and of the judge, before the first step.
    frozen: [u64; 2],
}

impl<'a, P, J, S> Trainer<'a, P, J, S>
where
    P: Policy,
    J: Judge<Image = P::Image>,
    S: PointSource<Image = P::Image>,
{
    /// A trainer at step 0. The weights must live on an autodiff device.
    ///
    /// # Errors
    ///
    /// [`RlError`] if a setting is invalid, there are no images, the policy has no trainable
    /// parameters, or the judge has some.
    pub fn new(
        parts: GrpoParts<'a, P, J, S>,
        config: GrpoConfig,
        weights: P::Weights,
    ) -> Result<Self, RlError> {
        config.validate()?;
        if parts.source.is_empty() {
            return Err(RlError::NothingToAsk);
        }
        Checks { step: 0 }.trainable(n_trainable(&weights), parts.judge.n_trainable())?;
        let optimizer = adamw(&weights, &config.training);
        let frozen = [parts.policy.frozen_fingerprint(), parts.judge.fingerprint()];
        Ok(Self { parts, config, weights, optimizer, step: 0, frozen })
    }

    /// Continues from a step, with the weights and the optimizer state of that step.
    pub(crate) fn at(mut self, step: u64, optimizer: ModuleOptimizer) -> Self {
        (self.step, self.optimizer) = (step, optimizer);
        self
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &GrpoConfig {
        &self.config
    }

    /// The current weights.
    #[must_use]
    pub fn weights(&self) -> &P::Weights {
        &self.weights
    }

    /// The optimizer state.
    pub(crate) fn optimizer(&self) -> &ModuleOptimizer {
        &self.optimizer
    }

    /// The number of completed steps.
    #[must_use]
    pub fn steps_done(&self) -> u64 {
        self.step
    }

    /// Samples `n_images` images with the current weights, without an update, and reports the
    /// spread of their rewards.
    ///
    /// # Errors
    ///
    /// [`RlError`] if policy, judge or source fails.
    pub fn spread_report(&self, n_images: usize) -> Result<SpreadReport, RlError> {
        let images = (0..n_images.min(self.parts.source.len()))
            .map(|index| self.image(index))
            .collect::<Result<Vec<_>, _>>()?;
        let rollout = self.rollout(images, self.sample_options("spread"))?;
        let (rewards, points) = rollout.outcomes();
        Ok(SpreadReport::of(&rewards, &points, self.config.group_size, &self.config.advantage))
    }

    /// Performs one step. Its images and samples are functions of the seed and the step number.
    ///
    /// # Errors
    ///
    /// [`RlError`] if policy, judge or source fails, a number is not finite, or a consistency check
    /// fails. The run must end there, because the fault may already have affected the weights.
    pub fn step(&mut self) -> Result<StepOutcome, RlError> {
        let began = Instant::now();
        let before = fingerprint(&self.weights);
        let rollout = self.rollout(self.images_of_step()?, self.sample_options("samples"))?;
        self.checks().sampler_weights(rollout.fingerprint, before)?;
        let rollout_time = began.elapsed();

        let began = Instant::now();
        let (rewards, points) = rollout.outcomes();
        let advantages =
            advantages(&rewards, &points, self.config.group_size, &self.config.advantage);
        let mut report = self.report_of(&rollout, &advantages);
        self.update(&rollout, &advantages, &mut report)?;
        if self.step == 0 {
            self.checks().frozen(self.frozen, self.fingerprints_of_frozen())?;
            let n_moments = self.optimizer.to_record().len();
            self.checks().optimizer(&report, n_moments, n_trainable(&self.weights))?;
        }
        let after = fingerprint(&self.weights);
        self.checks().update(&report, before, after)?;
        report.fingerprint = format!("{after:016x}");
        self.step += 1;
        let record = |(sample, advantage): (_, &Option<f64>)| {
            SampleRecord::of(self.step, &rollout, sample, self.parts.reward, *advantage)
        };
        let samples = rollout.samples.iter().zip(&advantages.values).map(record).collect();
        Ok(StepOutcome {
            report: report.rounded(),
            samples,
            rollout_time,
            update_time: began.elapsed(),
        })
    }

    fn checks(&self) -> Checks {
        Checks { step: self.step }
    }

    /// Fingerprints of what must not change: the policy's frozen part, and the judge.
    fn fingerprints_of_frozen(&self) -> [u64; 2] {
        [self.parts.policy.frozen_fingerprint(), self.parts.judge.fingerprint()]
    }

    fn sample_options(&self, purpose: &str) -> SampleOptions {
        let GrpoConfig { group_size, max_new_tokens, sampling, .. } = self.config;
        SampleOptions {
            group_size,
            max_new_tokens,
            sampling,
            seed: self.config.training.seed.split(purpose).nth(self.step),
        }
    }

    fn rollout(
        &self,
        images: Vec<PointsOfImage<P::Image>>,
        options: SampleOptions,
    ) -> Result<Rollout<P::Image>, RlError> {
        let GrpoParts { policy, judge, reward, .. } = self.parts;
        roll_out(policy, &self.weights, judge, reward, images, &options, self.step)
    }

    fn image(&self, index: usize) -> Result<PointsOfImage<P::Image>, RlError> {
        self.parts
            .source
            .image(index)
            .map_err(|error| RlError::Source { index, source: Box::new(error) })
    }

    /// Every epoch visits all images, each in its own random order.
    fn images_of_step(&self) -> Result<Vec<PointsOfImage<P::Image>>, RlError> {
        let (n, wanted) = (self.parts.source.len() as u64, self.config.images_per_step as u64);
        let first = self.step * wanted;
        let mut order: (u64, Vec<usize>) = (u64::MAX, Vec::new());
        (first..first + wanted)
            .map(|place| {
                let epoch = place / n;
                if order.0 != epoch {
                    let mut shuffled: Vec<usize> = (0..n as usize).collect();
                    shuffled
                        .shuffle(&mut self.config.training.seed.split("order").nth(epoch).rng());
                    order = (epoch, shuffled);
                }
                self.image(order.1[(place % n) as usize])
            })
            .collect()
    }

    /// The statistics of a rollout before the update.
    fn report_of(&self, rollout: &Rollout<P::Image>, advantages: &Advantages) -> StepReport {
        let samples = &rollout.samples;
        let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len().max(1) as f64;
        let of_all =
            |value: &dyn Fn(&crate::Sample) -> f64| mean(samples.iter().map(value).collect());
        let texts: Vec<&str> =
            samples.iter().map(|sample| sample.completion.text.as_str()).collect();
        let distance = |sample: &crate::Sample| {
            sample.located.map(|located| located.point.distance(rollout.truth(sample)))
        };
        StepReport {
            step: self.step + 1,
            reward: mean(samples.iter().filter_map(|sample| sample.reward).collect()),
            reward_std: advantages.mean_std,
            distance: mean(samples.iter().filter_map(distance).collect()),
            n_samples: samples.len(),
            n_unscorable: advantages.n_unscorable,
            n_below_floor: advantages.n_below_floor,
            frac_zero_std: advantages.frac_zero_std,
            epsilon_share: advantages.epsilon_share,
            learning_rate: self.config.training.schedule.rate(self.step),
            mean_tokens: of_all(&|sample| sample.completion.tokens.len() as f64),
            finished: of_all(&|sample| f64::from(u8::from(sample.completion.finished))),
            style: self.parts.style.report(&texts),
            ..Default::default()
        }
    }

    /// Updates the weights on the samples that have an advantage.
    fn update(
        &mut self,
        rollout: &Rollout<P::Image>,
        advantages: &Advantages,
        report: &mut StepReport,
    ) -> Result<(), RlError> {
        let kept: Vec<(usize, f64)> = advantages
            .values
            .iter()
            .enumerate()
            .filter_map(|(at, value)| value.map(|value| (at, value)))
            .collect();
        if kept.is_empty() {
            return Ok(());
        }
        let sequences: Vec<ToScore<'_>> =
            kept.iter().map(|&(at, _)| rollout.to_score(&rollout.samples[at])).collect();
        let whole = BatchTotals::of(sequences.iter().map(|sequence| sequence.tokens.len()));
        let reference = self.scored_by_reference(rollout, &sequences)?;
        let mut old: Vec<Vec<f64>> = Vec::new();
        let mut n_clipped = 0;
        for inner in 0..self.config.inner_steps {
            let mut gradients = GradientsAccumulator::new();
            let mut sum = PolicyLoss::default();
            let mut first = 0;
            for micro_batch in sequences.chunks(self.config.sequences_per_pass()) {
                let log_probs = self
                    .parts
                    .policy
                    .log_probs(WhichWeights::Learning(&self.weights), &rollout.images, micro_batch)
                    .map_err(|error| RlError::Policy {
                        step: self.step,
                        source: Box::new(error),
                    })?;
                let values: Vec<f64> = log_probs.clone().into_data().iter().collect();
                let values = self.checks().split(&values, micro_batch, rollout)?;
                if inner == 0 {
                    old.extend(values.iter().cloned());
                }
                let parts: Vec<Sequence<'_>> = (0..micro_batch.len())
                    .map(|at| Sequence {
                        log_probs: &values[at],
                        old_log_probs: &old[first + at],
                        ref_log_probs: &reference[first + at],
                        advantage: kept[first + at].1,
                    })
                    .collect();
                let loss = self.config.loss_of(&parts, whole);
                self.checks().finite_gradient(&loss, micro_batch, rollout)?;
                first += micro_batch.len();
                (sum.loss, sum.kl, n_clipped) =
                    (sum.loss + loss.loss, sum.kl + loss.kl, n_clipped + loss.n_clipped);
                if log_probs.is_autodiff() && log_probs.is_tracked() {
                    let slope = with_host_gradient(log_probs, &loss.gradient.concat());
                    gradients.accumulate(
                        &self.weights,
                        GradientsParams::from_grads(slope.backward(), &self.weights),
                    );
                }
            }
            let gradients = gradients.grads();
            if inner == 0 {
                let sampled = kept.iter().map(|&(at, _)| &rollout.samples[at]);
                (report.gap_mean, report.gap_max) = sampler_gap(sampled, &old);
                self.checks().sampler_gap(report.gap_mean, self.config.gap_limit)?;
                self.checks().gradients_reach(gradients.len(), n_trainable(&self.weights))?;
                self.checks().starts_at_reference(&old, &reference)?;
                (report.loss, report.kl) = (sum.loss, sum.kl);
            }
            report.gradient_norm = gradient_norm(&self.weights, &gradients);
            if !report.gradient_norm.is_finite() {
                let sequence = format!("all {} sequences", sequences.len());
                return Err(RlError::NotFinite {
                    step: self.step,
                    what: "gradient",
                    sequence,
                    value: report.gradient_norm,
                });
            }
            let gradients = clip_gradients(
                &self.weights,
                gradients,
                report.gradient_norm,
                self.config.training.clip_norm,
            );
            self.weights =
                self.optimizer.step(report.learning_rate, self.weights.clone(), gradients);
        }
        report.clipped = n_clipped as f64 / (whole.n_tokens * self.config.inner_steps) as f64;
        Ok(())
    }

    fn scored_by_reference(
        &self,
        rollout: &Rollout<P::Image>,
        sequences: &[ToScore<'_>],
    ) -> Result<Vec<Vec<f64>>, RlError> {
        let mut scored = Vec::with_capacity(sequences.len());
        for micro_batch in sequences.chunks(self.config.sequences_per_pass()) {
            let log_probs = self
                .parts
                .policy
                .log_probs(WhichWeights::Reference, &rollout.images, micro_batch)
                .map_err(|error| RlError::Policy { step: self.step, source: Box::new(error) })?;
            let values: Vec<f64> = log_probs.into_data().iter().collect();
            scored.extend(self.checks().split(&values, micro_batch, rollout)?);
        }
        Ok(scored)
    }
}
