//! One GRPO step: sample, score, compute advantages, update.

use std::time::{Duration, Instant};

use burn::optim::{GradientsAccumulator, GradientsParams, ModuleOptimizer};
use rand::seq::SliceRandom;
use tp_train::{adamw, clipped, gradient_norm};

use crate::{
    Advantages, BatchTotals, GrpoConfig, Judge, Link, PointSource, PointsOfImage, Policy,
    PolicyLoss, Reward, RlError, Rollout, SampleOptions, SampleRecord, Sequence, SpreadReport,
    StepReport, StyleMonitor, ToScore, Weights, advantages, fingerprint, n_trainable, roll_out,
    with_host_gradient,
};

/// How far policy and reference may be apart before the first step, in nats at any token: rounding.
const SAME: f64 = 1e-4;

/// What reinforcement works with.
#[derive(Debug)]
pub struct GrpoParts<'a, P, J, S> {
    /// Writes, and learns.
    pub policy: &'a P,
    /// Reads, and never learns.
    pub judge: &'a J,
    /// Where images come from.
    pub source: &'a S,
    /// What a description is worth.
    pub reward: &'a Reward,
    /// Knows the style that the judge was trained on.
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
pub struct StepOutcome {
    /// The step in numbers.
    pub report: StepReport,
    /// Every sample.
    pub samples: Vec<SampleRecord>,
    /// Time that sampling and judging took.
    pub rollout_time: Duration,
    /// Time that scoring and updating took.
    pub update_time: Duration,
}

/// A policy on its way.
pub struct Trainer<'a, P: Policy, J, S> {
    parts: GrpoParts<'a, P, J, S>,
    config: GrpoConfig,
    weights: P::Weights,
    optimizer: ModuleOptimizer,
    step: u64,
    /// Fingerprints of what must not change: policy's frozen part, judge.
    frozen: [u64; 2],
}

impl<'a, P, J, S> Trainer<'a, P, J, S>
where
    P: Policy,
    J: Judge<Image = P::Image>,
    S: PointSource<Image = P::Image>,
{
    /// A trainer at step 0. The weights live on an autodiff device.
    ///
    /// # Errors
    ///
    /// [`RlError`] if a setting makes no sense, there are no images, nothing can be trained, or the
    /// judge could be.
    pub fn new(
        parts: GrpoParts<'a, P, J, S>,
        config: GrpoConfig,
        weights: P::Weights,
    ) -> Result<Self, RlError> {
        config.validate()?;
        if parts.source.is_empty() {
            return Err(RlError::NothingToAsk);
        }
        let broken = |link, evidence: String| Err(RlError::BrokenLink { step: 0, link, evidence });
        if n_trainable(&weights) == 0 {
            return broken(
                Link::Trainable,
                "the policy has no tensor that a gradient could change".to_owned(),
            );
        }
        let of_judge = parts.judge.n_trainable();
        if of_judge > 0 {
            return broken(
                Link::Frozen,
                format!("{of_judge} tensors of the judge could be trained"),
            );
        }
        let optimizer = adamw(&weights, &config.training);
        let frozen = [parts.policy.frozen_fingerprint(), parts.judge.fingerprint()];
        Ok(Self { parts, config, weights, optimizer, step: 0, frozen })
    }

    /// Goes on from a step with the weights and the optimizer of then.
    pub(crate) fn at(mut self, step: u64, optimizer: ModuleOptimizer) -> Self {
        (self.step, self.optimizer) = (step, optimizer);
        self
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &GrpoConfig {
        &self.config
    }

    /// The weights as they are now.
    #[must_use]
    pub fn weights(&self) -> &P::Weights {
        &self.weights
    }

    /// The state of the optimizer.
    pub(crate) fn optimizer(&self) -> &ModuleOptimizer {
        &self.optimizer
    }

    /// Steps that are done.
    #[must_use]
    pub fn steps_done(&self) -> u64 {
        self.step
    }

    /// Is there anything to learn? Samples `n_images` images with the weights as they are, and
    /// changes nothing.
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

    /// One step. Its images and samples are functions of the seed and the number of the step.
    ///
    /// # Errors
    ///
    /// [`RlError`] if policy, judge or source fails, a number is not finite, or a link of the chain
    /// is seen to be broken. The run ends there: what was wrong may have reached the weights
    /// already.
    pub fn step(&mut self) -> Result<StepOutcome, RlError> {
        let began = Instant::now();
        let before = fingerprint(&self.weights);
        let rollout = self.rollout(self.images_of_step()?, self.sample_options("samples"))?;
        let step = self.step;
        let broken = |link, evidence: String| RlError::BrokenLink { step, link, evidence };
        if rollout.fingerprint != before {
            let evidence = format!(
                "the sampler wrote with weights {:016x}, those that learn are {before:016x}",
                rollout.fingerprint
            );
            return Err(broken(Link::Sampler, evidence));
        }
        let rollout_time = began.elapsed();

        let began = Instant::now();
        let (rewards, points) = rollout.outcomes();
        let advantages =
            advantages(&rewards, &points, self.config.group_size, &self.config.advantage);
        let mut report = self.described(&rollout, &advantages);
        self.update(&rollout, &advantages, &mut report)?;
        if self.step == 0 {
            self.check_frozen()?;
            self.check_optimizer(&report)?;
        }
        let after = fingerprint(&self.weights);
        if report.gradient_norm > 0.0 && after == before {
            let evidence = format!(
                "a gradient of norm {} at learning rate {} moved nothing",
                report.gradient_norm, report.learning_rate
            );
            return Err(broken(Link::Update, evidence));
        }
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

    /// Every epoch shows all images, each in an order of its own.
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

    /// What can be said of a rollout before it is learned from.
    fn described(&self, rollout: &Rollout<P::Image>, advantages: &Advantages) -> StepReport {
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

    /// Goes down the loss of the samples that have an advantage.
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
                    .log_probs(Weights::Learning(&self.weights), &rollout.images, micro_batch)
                    .map_err(|error| RlError::Policy {
                        step: self.step,
                        source: Box::new(error),
                    })?;
                let values = self.split(
                    log_probs.clone().into_data().iter::<f64>().collect(),
                    micro_batch,
                    rollout,
                )?;
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
                self.check_finite(&loss, micro_batch, rollout)?;
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
                self.compare_with_sampler(rollout, &kept, &old, report);
                self.preflight(&old, &reference, gradients.len(), report)?;
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
            let gradients = clipped(
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
                .log_probs(Weights::Reference, &rollout.images, micro_batch)
                .map_err(|error| RlError::Policy { step: self.step, source: Box::new(error) })?;
            scored.extend(self.split(
                log_probs.into_data().iter::<f64>().collect(),
                micro_batch,
                rollout,
            )?);
        }
        Ok(scored)
    }

    /// Numbers of all tokens, sequence by sequence; each has to be one.
    fn split(
        &self,
        values: Vec<f64>,
        sequences: &[ToScore<'_>],
        rollout: &Rollout<P::Image>,
    ) -> Result<Vec<Vec<f64>>, RlError> {
        let n_tokens: usize = sequences.iter().map(|sequence| sequence.tokens.len()).sum();
        if values.len() != n_tokens {
            let evidence = format!("{n_tokens} tokens were scored with {} numbers", values.len());
            return Err(RlError::BrokenLink { step: self.step, link: Link::Masks, evidence });
        }
        let mut rest = values.as_slice();
        sequences
            .iter()
            .map(|sequence| {
                let (own, others) = rest.split_at(sequence.tokens.len());
                rest = others;
                match own.iter().find(|value| !value.is_finite()) {
                    None => Ok(own.to_vec()),
                    Some(&value) => Err(RlError::NotFinite {
                        step: self.step,
                        what: "log-probability",
                        sequence: named(sequence, rollout),
                        value,
                    }),
                }
            })
            .collect()
    }

    fn check_finite(
        &self,
        loss: &PolicyLoss,
        sequences: &[ToScore<'_>],
        rollout: &Rollout<P::Image>,
    ) -> Result<(), RlError> {
        for (sequence, slopes) in sequences.iter().zip(&loss.gradient) {
            if let Some(&value) = slopes.iter().find(|slope| !slope.is_finite()) {
                return Err(RlError::NotFinite {
                    step: self.step,
                    what: "gradient",
                    sequence: named(sequence, rollout),
                    value,
                });
            }
        }
        Ok(())
    }

    /// The same tokens under the same weights, by two paths: one token at a time, and all at once.
    fn compare_with_sampler(
        &self,
        rollout: &Rollout<P::Image>,
        kept: &[(usize, f64)],
        scored: &[Vec<f64>],
        report: &mut StepReport,
    ) {
        let sampled = kept.iter().flat_map(|&(at, _)| &rollout.samples[at].completion.log_probs);
        let gaps: Vec<f64> = sampled
            .zip(scored.iter().flatten())
            .map(|(sampled, scored)| (f64::from(*sampled) - scored).abs())
            .collect();
        report.gap_mean = gaps.iter().sum::<f64>() / gaps.len().max(1) as f64;
        report.gap_max = gaps.iter().copied().fold(0.0, f64::max);
    }

    /// What must hold before weights are changed.
    fn preflight(
        &self,
        ours: &[Vec<f64>],
        reference: &[Vec<f64>],
        n_gradients: usize,
        report: &StepReport,
    ) -> Result<(), RlError> {
        let broken =
            |link, evidence: String| Err(RlError::BrokenLink { step: self.step, link, evidence });
        if report.gap_mean > self.config.gap_limit {
            let limit = self.config.gap_limit;
            let evidence = format!(
                "sampler and trainer differ by {:.3} nats a token on average, more than {limit}",
                report.gap_mean
            );
            return broken(Link::Masks, evidence);
        }
        let n_trainable = n_trainable(&self.weights);
        if n_gradients != n_trainable {
            return broken(
                Link::Trainable,
                format!("gradients reach {n_gradients} of {n_trainable} trainable tensors"),
            );
        }
        if self.step == 0 {
            let apart = ours
                .iter()
                .flatten()
                .zip(reference.iter().flatten())
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f64::max);
            if apart > SAME {
                return broken(
                    Link::Reference,
                    format!(
                        "before the first step policy and reference differ by {apart:.2e} nats at a token"
                    ),
                );
            }
        }
        Ok(())
    }

    /// AdamW keeps two moments of every tensor that it updates.
    fn check_optimizer(&self, report: &StepReport) -> Result<(), RlError> {
        let (held, n_trainable) = (self.optimizer.to_record().len(), n_trainable(&self.weights));
        if report.gradient_norm > 0.0 && held != 2 * n_trainable {
            let evidence = format!(
                "the optimizer holds {held} moments of {n_trainable} trainable tensors, two of each are expected"
            );
            return Err(RlError::BrokenLink { step: self.step, link: Link::Trainable, evidence });
        }
        Ok(())
    }

    fn check_frozen(&self) -> Result<(), RlError> {
        let now = [self.parts.policy.frozen_fingerprint(), self.parts.judge.fingerprint()];
        for (what, (now, then)) in ["the frozen part of the policy", "the judge"]
            .into_iter()
            .zip(now.into_iter().zip(self.frozen))
        {
            if now != then {
                return Err(RlError::BrokenLink {
                    step: self.step,
                    link: Link::Frozen,
                    evidence: format!("{what} has changed"),
                });
            }
        }
        Ok(())
    }
}

/// A sequence as an error names it.
fn named<I>(sequence: &ToScore<'_>, rollout: &Rollout<I>) -> String {
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
