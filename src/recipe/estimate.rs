//! What a training will cost, from a few measured steps: a plan before the run.

use std::{fmt, sync::atomic::AtomicBool, time::Instant};

use burn::{
    module::{Module, ModuleVisitor, Param},
    tensor::{Device, Tensor},
};
use serde::Serialize;
use tp_core::{available_memory, peak_memory};
use tp_language::BlockParameter;
use tp_train::{Evaluation, Schedule, TrainConfig, train};

use super::{
    Experiment, ExperimentError,
    experiment::{OpenedPhase, trained_parts},
    held_out::{Evaluator, held_out_set},
};
use crate::evaluation::EvalSet;

/// The images of which the duration of an evaluation is estimated.
const EVALUATED_IMAGES: usize = 6;

/// What a training will cost.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ExperimentEstimate {
    /// The phases in order.
    pub phases: Vec<PhaseEstimate>,
    /// The duration of one evaluation, in seconds.
    pub seconds_per_evaluation: f64,
    /// The duration of everything, in hours.
    pub hours: f64,
    /// The peak memory of the measured steps, in bytes; `None` where the system does not state it.
    pub peak_memory: Option<u64>,
    /// The memory that was available before, in bytes.
    pub available_memory: Option<u64>,
    /// What checkpoints and the model will take on disk, in bytes.
    pub disk: u64,
}

/// What a phase will cost.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PhaseEstimate {
    /// The name of the phase.
    pub name: String,
    /// Numbers that are trained.
    pub trained: u64,
    /// Numbers that stay as they are.
    pub frozen: u64,
    /// Optimizer steps.
    pub steps: u64,
    /// Described points in all steps.
    pub points: u64,
    /// The mean duration of the measured steps but the first, in seconds.
    pub seconds_per_step: f64,
    /// The largest loss of the measured steps.
    pub loss: f64,
}

impl Experiment {
    /// Runs a few steps of every phase in a temporary folder, and estimates the whole training.
    ///
    /// # Errors
    ///
    /// [`ExperimentError`]; [`ExperimentError::TooLarge`] before any step if weights, gradients and
    /// the optimizer's moments alone exceed the available memory.
    pub fn estimate(
        &self,
        plain: &Device,
        measured_steps: u64,
    ) -> Result<ExperimentEstimate, ExperimentError> {
        let available_memory = available_memory();
        let scratch = tempfile::tempdir()
            .map_err(|source| ExperimentError::Folder { path: std::env::temp_dir(), source })?;
        let mut trial = Self { out: scratch.path().to_owned(), resume: false, ..self.clone() };
        // A tokenizer that the folder already has is used, as it will be.
        let tokenizer = self.out.join("tokenizer.json");
        if tokenizer.exists() {
            let copied = std::fs::copy(&tokenizer, trial.out.join("tokenizer.json"));
            copied.map_err(|source| ExperimentError::Folder { path: tokenizer, source })?;
        }
        trial.recipe.phases.iter_mut().for_each(|phase| phase.warmup = phase.warmup.or(Some(0)));
        let material = trial.material();
        let (prepared, mut model) = trial.prepared(&material, plain)?;
        let device = plain.clone().autodiff();
        let image_size = prepared.config.vision.image_size;
        let mut phases = Vec::new();
        let (mut disk, mut model_disk) = (0, 0);
        for phase in &trial.recipe.phases {
            let OpenedPhase { source, steps, .. } = trial.opened(phase, &material, image_size)?;
            model = trained_parts(phase, model)?;
            let ParameterCounts { trained, frozen } = parameter_counts(&model);
            let blocks = model.network.decoder.block_parameters();
            let block_bytes: usize = blocks.values().map(BlockParameter::n_bytes).sum();
            let in_blocks = blocks.values().map(numbers_of).sum::<u64>();
            // Weights of both, and gradient and two moments of what is trained, all in f32.
            let needed = 4 * (4 * trained + frozen) + block_bytes as u64;
            if available_memory.is_some_and(|available| needed > available) {
                return Err(ExperimentError::TooLarge {
                    what: format!("phase {}", phase.name),
                    needed,
                    available: available_memory.unwrap_or(0),
                });
            }
            // Two checkpoints and the best one, with both moments.
            disk += 3 * 4 * (3 * trained + frozen);
            // The model folder, in half precision.
            model_disk = 2 * (trained + frozen + in_blocks);
            let opened = OpenedPhase { phase, source, steps: measured_steps };
            let config = TrainConfig {
                schedule: Schedule {
                    steps: measured_steps,
                    ..trial.train_config(&opened).schedule
                },
                ..trial.train_config(&opened)
            };
            let task = trial.task(opened, &prepared, &device, |_| Evaluation::default());
            let folder = trial.out.join(&phase.name);
            let run = train(model, &task, &config, &folder, false, &AtomicBool::new(false))?;
            let ends: Vec<f64> = run.records.iter().map(|record| record.seconds).collect();
            let seconds_per_step = match (ends.first(), ends.last()) {
                (Some(first), Some(last)) if ends.len() > 1 => {
                    (last - first) / (ends.len() - 1) as f64
                }
                (_, last) => last.copied().unwrap_or(f64::NAN),
            };
            phases.push(PhaseEstimate {
                name: phase.name.clone(),
                trained,
                frozen: frozen + in_blocks,
                steps,
                points: steps * phase.accumulate * (phase.images * phase.points) as u64,
                seconds_per_step,
                loss: run.records.iter().map(|record| record.loss).fold(f64::NAN, f64::max),
            });
            model = run.model.unfreeze();
        }
        let set = held_out_set(&trial.recipe, &material, image_size as u32, self.seed)?;
        let n_images = set.images.len();
        let few = EvalSet {
            images: set.images.into_iter().take(EVALUATED_IMAGES).collect(),
            ..EvalSet { name: set.name, images: Vec::new(), upright_images: 0 }
        };
        let n_few = few.images.len();
        let evaluator = Evaluator {
            config: &prepared.config,
            tokenizer: &prepared.tokenizer,
            nouns: prepared.nouns.as_ref(),
            set: &few,
        };
        let began = Instant::now();
        evaluator.evaluate(model.network.valid())?;
        let seconds_per_evaluation =
            began.elapsed().as_secs_f64() * n_images as f64 / n_few.max(1) as f64;
        let seconds: f64 = phases
            .iter()
            .map(|phase| {
                phase.steps as f64 * phase.seconds_per_step
                    + seconds_per_evaluation
                        * (1 + phase.steps / super::experiment::EVALUATE_EVERY) as f64
            })
            .sum();
        let started = f64::from(u8::from(self.start.base.is_some())) * seconds_per_evaluation;
        Ok(ExperimentEstimate {
            phases,
            seconds_per_evaluation,
            hours: (seconds + started) / 3600.0,
            peak_memory: peak_memory(),
            available_memory,
            disk: disk + model_disk,
        })
    }
}

/// How many numbers are trained, and how many are not.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ParameterCounts {
    pub(super) trained: u64,
    pub(super) frozen: u64,
}

impl ModuleVisitor for ParameterCounts {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let count = if param.is_require_grad() { &mut self.trained } else { &mut self.frozen };
        *count += param.shape().num_elements() as u64;
    }
}

/// The numbers of a module's parameters; those in blocks are none of them.
pub(super) fn parameter_counts<M: Module>(module: &M) -> ParameterCounts {
    let mut counts = ParameterCounts::default();
    module.visit(&mut counts);
    counts
}

fn numbers_of(blocks: &BlockParameter) -> u64 {
    blocks.shape().iter().map(|&side| side as u64).product()
}

/// A line for each phase, and the totals.
impl fmt::Display for ExperimentEstimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millions = |n: u64| n as f64 / 1e6;
        let gigabytes = |bytes: u64| bytes as f64 / 1e9;
        for phase in &self.phases {
            writeln!(
                f,
                "{}: {} steps, {:.2} s each: {:.0} minutes; {:.2} M numbers are trained, {:.2} M are frozen; {} points",
                phase.name,
                phase.steps,
                phase.seconds_per_step,
                phase.steps as f64 * phase.seconds_per_step / 60.0,
                millions(phase.trained),
                millions(phase.frozen),
                phase.points
            )?;
        }
        writeln!(
            f,
            "each evaluation takes {:.0} s, everything {:.1} hours on this device",
            self.seconds_per_evaluation, self.hours
        )?;
        if let (Some(peak), Some(available)) = (self.peak_memory, self.available_memory) {
            writeln!(
                f,
                "memory: {:.2} GB at the peak, {:.1} GB were available",
                gigabytes(peak),
                gigabytes(available)
            )?;
        }
        write!(f, "disk: up to {:.2} GB for checkpoints and the model", gigabytes(self.disk))
    }
}
