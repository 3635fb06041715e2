//! Training of a whole model by a recipe, phase by phase; the best phase's model is kept.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use burn::{module::Module, tensor::Device};
use tp_core::Seed;
use tp_train::{Evaluation, RunOutcome, Schedule, TrainConfig, train, train_only};
use tp_vision::{Nouns, VisionConfig};

use super::{
    Batcher, ExperimentError, ExperimentReport, LossWeights, Material, Mixture, Objective, Phase,
    PhaseReport, Recipe, RecipeError, SampleSource, TrainingModel, TrainingTask,
    estimate::parameter_counts,
    frozen_for,
    held_out::{Evaluator, held_out_set, scores},
    initial_model::{Preparation, Prepared, Start},
    kept::Kept,
    run_record::RunRecord,
};
use crate::{Network, NetworkConfig, save_model_dir};

/// Steps between two evaluations.
pub(super) const EVALUATE_EVERY: u64 = 500;
/// The maximum number of warm-up steps of phases that do not state it; shorter phases use a tenth
/// of their steps.
const MOST_WARMUP: u64 = 60;

/// The training of a whole model.
#[derive(Clone, Debug)]
pub struct Experiment {
    /// The network, the data and the phases.
    pub recipe: Recipe,
    /// Families excluded from scenes and annotated photographs.
    pub without_families: Vec<String>,
    /// The initial weights.
    pub start: Start,
    /// The share of every phase's steps to run; 1 except for trials.
    pub step_share: f64,
    /// The output folder for logs, checkpoints and the model. A tokenizer that is already there is
    /// reused, if the recipe trains one.
    pub out: PathBuf,
    /// Continue from the newest checkpoints in the folder.
    pub resume: bool,
    /// The seed of every random choice.
    pub seed: Seed,
    /// The version of the program, for the record of the run.
    pub version: String,
}

/// A phase with its data and the number of its steps.
pub(super) struct OpenedPhase<'a> {
    pub(super) phase: &'a Phase,
    pub(super) source: Mixture,
    pub(super) steps: u64,
}

impl Experiment {
    /// Trains on a plain (non-autodiff) device, and saves the best model in `out/model`.
    ///
    /// A model that starts from a base is compared with it on held-out images. A phase after which it
    /// is worse is undone before the next one; if no phase improves on the base, the base is what is
    /// saved, and the report says so.
    ///
    /// # Errors
    ///
    /// [`ExperimentError`]. After `stop` is set it is [`ExperimentError::Stopped`], and all
    /// progress is on disk.
    pub fn run(
        &self,
        plain: &Device,
        stop: &AtomicBool,
    ) -> Result<ExperimentReport, ExperimentError> {
        let material = self.material();
        let (prepared, mut model) = self.prepared(&material, plain)?;
        RunRecord::of(self, &material, plain)?.save(&self.out)?;
        let image_size = prepared.config.vision.image_size;
        let set = held_out_set(&self.recipe, &material, image_size as u32, self.seed)?;
        let device = plain.clone().autodiff();
        let evaluator = Evaluator {
            config: &prepared.config,
            tokenizer: &prepared.tokenizer,
            nouns: prepared.nouns.as_ref(),
            set: &set,
        };
        let evaluate = |network: Network| evaluator.evaluate_or_warn(network);

        let mut kept: Option<Kept> = None;
        let is_adapted = self.start.base.is_some() && set.n_points() > 0;
        let before = if is_adapted {
            let evaluation = evaluator.evaluate(model.network.valid())?;
            self.save(&prepared, &model.network, image_size)?;
            let before = scores(&evaluation);
            let phase = "no phase: the base was better".to_owned();
            kept = Some(Kept { phase, evaluation, model: model.clone() });
            Some(before)
        } else {
            None
        };
        let mut phases = Vec::new();
        for phase in &self.recipe.phases {
            if self.start.vision.is_some() && phase.objective == Objective::Vision {
                continue;
            }
            // Set in the last step of the previous phase, or since then.
            if stop.load(Ordering::SeqCst) {
                return Err(ExperimentError::Stopped { place: format!("before {}", phase.name) });
            }
            let opened = self.opened(phase, &material, image_size)?;
            let run = self.train_config(&opened);
            let task = self.task(opened, &prepared, &device, &evaluate);
            let folder = self.out.join(&phase.name);
            let began = Instant::now();
            let trained =
                train(trained_parts(phase, model)?, &task, &run, &folder, self.resume, stop)?;
            // A checkpoint preserves which parameters were frozen; the next phase may train them.
            model = trained.model.unfreeze();
            let evaluated =
                trained.records.iter().rev().find_map(|record| record.evaluation.clone());
            let evaluation = match evaluated {
                None if is_adapted => Some(evaluate(model.network.valid())),
                evaluated => evaluated,
            };
            let is_kept = kept.as_ref().is_none_or(|kept| kept.is_reached_by(evaluation.as_ref()));
            phases.push(PhaseReport {
                name: phase.name.clone(),
                steps: trained.progress.step,
                loss: trained.records.last().map_or(f64::NAN, |record| record.loss),
                seconds: began.elapsed().as_secs_f64(),
                is_kept,
            });
            if is_kept {
                // A base keeps the size at which it is used; a network of our own has that of the
                // phase at which it was evaluated.
                let size = phase.image_size.filter(|_| !is_adapted);
                self.save(
                    &prepared,
                    &model.network,
                    size.map_or(image_size, |size| size as usize),
                )?;
                if let Some(evaluation) = evaluation {
                    kept =
                        Some(Kept { phase: phase.name.clone(), evaluation, model: model.clone() });
                }
            } else if let (true, Some(kept)) = (is_adapted, &kept) {
                tracing::info!("{}: worse on {}, so it is undone", phase.name, set.name);
                model = kept.model.clone();
            }
            if trained.outcome == RunOutcome::Stopped {
                return Err(ExperimentError::Stopped { place: format!("in {}", phase.name) });
            }
        }
        let (shipped, evaluation) = match kept {
            Some(kept) => (kept.phase, kept.evaluation),
            None => ("the last phase".to_owned(), evaluate(model.network.valid())),
        };
        let held_out = set.name.clone();
        let scores = (set.n_points() > 0).then(|| scores(&evaluation));
        let report = ExperimentReport { phases, shipped, held_out, before, scores };
        RunRecord::of(self, &material, plain)?.write_card(&self.out.join("model"), &report)?;
        Ok(report)
    }

    pub(super) fn material(&self) -> Material {
        Material {
            sources: self.recipe.sources.clone(),
            without_families: self.without_families.clone(),
        }
    }

    pub(super) fn prepared(
        &self,
        material: &Material,
        plain: &Device,
    ) -> Result<(Prepared, TrainingModel), ExperimentError> {
        material.check()?;
        if self.start.blocks.is_some() && self.start.base.is_none() {
            return Err(ExperimentError::BlocksWithoutBase);
        }
        plain.seed(self.seed.split("weights").0);
        let Self { recipe, start, out, seed, .. } = self;
        let (prepared, model) =
            Preparation { recipe, material, start, out, seed: *seed, plain }.run()?;
        if model.network.decoder.is_in_blocks() {
            // Refused before the first phase, not hours later before the one that cannot run.
            for phase in &recipe.phases {
                trained_parts(phase, model.clone())?;
            }
        }
        Ok((prepared, model))
    }

    /// The data of a phase, and its steps.
    pub(super) fn opened<'a>(
        &self,
        phase: &'a Phase,
        material: &Material,
        image_size: usize,
    ) -> Result<OpenedPhase<'a>, ExperimentError> {
        let size = phase.image_size.unwrap_or(image_size as u32);
        let settings = phase.settings(&self.recipe.samples.settings());
        let source = material.mixture(phase, &settings, size)?;
        let steps = match (phase.steps, phase.epochs) {
            (Some(steps), _) => steps,
            (None, epochs) => {
                let draws = source
                    .draws_per_epoch(phase.points)
                    .ok_or_else(|| RecipeError::NoEpochs { phase: phase.name.clone() })?;
                let per_step = phase.images as u64 * phase.accumulate;
                (epochs.unwrap_or(1) * draws).div_ceil(per_step)
            }
        };
        let steps = (steps as f64 * self.step_share).ceil() as u64;
        Ok(OpenedPhase { phase, source, steps })
    }

    pub(super) fn train_config(&self, opened: &OpenedPhase<'_>) -> TrainConfig {
        let OpenedPhase { phase, steps, .. } = opened;
        let warmup = phase.warmup.unwrap_or((steps / 10).min(MOST_WARMUP));
        let schedule =
            Schedule { peak: phase.learning_rate, warmup, steps: *steps, floor: phase.final_rate };
        let usual = TrainConfig::new(&phase.name, schedule, self.seed.split(&phase.name));
        TrainConfig {
            evaluate_every: EVALUATE_EVERY,
            accumulate: phase.accumulate,
            weight_decay: phase.weight_decay.unwrap_or(usual.weight_decay),
            beta_2: phase.beta_2.unwrap_or(usual.beta_2),
            epsilon: phase.epsilon.unwrap_or(usual.epsilon),
            ..usual
        }
    }

    pub(super) fn task<E: Fn(Network) -> Evaluation>(
        &self,
        opened: OpenedPhase<'_>,
        prepared: &Prepared,
        device: &Device,
        evaluator: E,
    ) -> TrainingTask<Mixture, E> {
        let OpenedPhase { phase, source, .. } = opened;
        TrainingTask {
            objective: phase.objective,
            losses: phase.losses.unwrap_or(LossWeights::of(phase.objective)),
            batcher: Batcher {
                source,
                options: phase.settings(&self.recipe.samples.settings()),
                n_images: phase.images,
                swapped_share: self.recipe.samples.swapped_share,
                tokenizer: prepared.tokenizer.clone(),
                vocabulary: prepared.vocabulary.clone(),
                nouns: prepared.nouns.clone(),
            },
            config: prepared.config.clone(),
            device: device.clone(),
            evaluator,
        }
    }

    fn save(
        &self,
        prepared: &Prepared,
        network: &Network,
        image_size: usize,
    ) -> Result<(), ExperimentError> {
        let vision = VisionConfig { image_size, ..prepared.config.vision.clone() };
        let config = NetworkConfig { vision, ..prepared.config.clone() };
        let nouns = prepared.nouns.as_deref().map(Nouns::table);
        Ok(save_model_dir(
            &self.out.join("model"),
            &network.clone().valid(),
            &config,
            &prepared.tokenizer,
            nouns,
        )?)
    }
}

/// The model with everything frozen that a phase does not train.
pub(super) fn trained_parts(
    phase: &Phase,
    model: TrainingModel,
) -> Result<TrainingModel, ExperimentError> {
    let model = match &phase.trained {
        None => frozen_for(phase.objective, model),
        Some(paths) => train_only(model, paths)?,
    };
    let decoder = &model.network.decoder;
    if decoder.is_in_blocks() && parameter_counts(decoder).trained > 0 {
        return Err(ExperimentError::TrainsBlocks { phase: phase.name.clone() });
    }
    Ok(model)
}
