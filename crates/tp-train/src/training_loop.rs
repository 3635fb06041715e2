//! The whole loop on one screen.

use std::{
    path::{Path, PathBuf},
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::sync_channel,
    },
    time::{Duration, Instant},
};

use burn::{
    module::{Module, ParamGroup},
    optim::{AdamWConfig, GradientsAccumulator, GradientsParams, ModuleOptimizer},
};
use serde::{Deserialize, Serialize};
use tp_core::Seed;

use crate::{
    Progress, Schedule, StepLoss, StepRecord, Task, TrainError,
    checkpoint::{Checkpoints, load},
    gradient_norm::{gradient_norm, scaled},
    plot_losses,
    run_log::{RunLog, make_folder},
};

/// Batches that are made ahead of the step that needs them.
const PREFETCH: usize = 2;
/// How often the log says where the run stands.
const REPORT_EVERY: Duration = Duration::from_secs(15);

/// How a run is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainConfig {
    /// The name of the run, for logs and plots.
    pub name: String,
    /// Learning rate and number of steps.
    pub schedule: Schedule,
    /// AdamW's weight decay; vectors (biases, norms) have none.
    pub weight_decay: f32,
    /// AdamW's second decay rate.
    pub beta_2: f32,
    /// The norm of all gradients together is clipped to this.
    pub clip_norm: f64,
    /// Micro-batches a step.
    pub accumulate: u64,
    /// Judge the model every so many steps; 0 = never.
    pub evaluate_every: u64,
    /// Write a checkpoint every so many steps; 0 = only at the end.
    pub checkpoint_every: u64,
    /// How many checkpoints are kept beside the best.
    pub keep: usize,
    /// Decides the data.
    pub seed: Seed,
}

impl TrainConfig {
    /// Common settings.
    #[must_use]
    pub fn new(name: &str, schedule: Schedule, seed: Seed) -> Self {
        Self {
            name: name.to_owned(),
            schedule,
            weight_decay: 0.03,
            beta_2: 0.98,
            clip_norm: 1.0,
            accumulate: 1,
            evaluate_every: 0,
            checkpoint_every: 100,
            keep: 2,
            seed,
        }
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every step was done.
    Finished,
    /// The stop flag was raised; a checkpoint was written.
    Stopped,
}

/// A trained model.
#[derive(Debug)]
pub struct Trained<M> {
    /// The model after its last step.
    pub model: M,
    /// How the run ended.
    pub outcome: Outcome,
    /// Where it stands.
    pub progress: Progress,
    /// Every step.
    pub records: Vec<StepRecord>,
}

/// Trains a model, from the newest checkpoint in `folder` if `resume` is set.
///
/// `folder` receives `log.jsonl`, `loss.png` and `checkpoints/`. The run ends after its last step, or at the end of the
/// step in which `stop` is raised.
///
/// # Errors
///
/// [`TrainError`] if a loss or gradient is not a number (the samples are named, the last checkpoint stays), or a file
/// cannot be read or written.
pub fn train<M, T>(
    mut model: M,
    task: &T,
    config: &TrainConfig,
    folder: &Path,
    resume: bool,
    stop: &AtomicBool,
) -> Result<Trained<M>, TrainError>
where
    M: Module,
    T: Task<M>,
{
    make_folder(folder)?;
    let settings = serde_json::to_string(config).unwrap_or_default();
    let checkpoints = Checkpoints::new(folder, config.keep);
    let mut optimizer = optimizer(config);
    let mut progress = Progress { settings: settings.clone(), ..Default::default() };
    if resume && let Some(path) = checkpoints.last()? {
        (model, optimizer, progress) = load(&path, model, optimizer, &settings)?;
    }
    let mut log = RunLog::open(&folder.join("log.jsonl"), progress.step)?;
    let plot: PathBuf = folder.join("loss.png");
    let (first, steps, accumulate) = (progress.step, config.schedule.steps, config.accumulate.max(1));
    let began = Instant::now();
    let mut reported = Instant::now();

    let (model, outcome) = std::thread::scope(|scope| -> Result<(M, Outcome), TrainError> {
        // Batches are functions of their number alone: making them ahead changes nothing.
        let (made, batches) = sync_channel(PREFETCH);
        scope.spawn(move || {
            for number in first * accumulate..steps * accumulate {
                if made.send(task.batch(config.seed.split("batch").nth(number))).is_err() {
                    return; // nobody listens any more
                }
            }
        });

        for step in first..steps {
            let mut gradients = GradientsAccumulator::new();
            let mut record = StepRecord {
                step: step + 1,
                loss: 0.0,
                gradient_norm: 0.0,
                learning_rate: config.schedule.rate(step),
                seconds: 0.0,
                readings: Vec::new(),
                evaluation: None,
            };
            let mut names = Vec::new();
            for _ in 0..accumulate {
                let Ok(batch) = batches.recv() else { return Ok((model, Outcome::Stopped)) };
                let StepLoss { loss, readings, samples } = task.loss(&model, batch);
                let loss = loss.div_scalar(accumulate as f64);
                record.loss += f64::from(loss.clone().into_scalar::<f32>());
                names.extend(samples);
                add(&mut record.readings, &readings, accumulate);
                if !record.loss.is_finite() {
                    return Err(TrainError::NotFinite { step: step + 1, what: "loss", value: record.loss, samples: names });
                }
                gradients.accumulate(&model, GradientsParams::from_grads(loss.backward(), &model));
            }

            let mut gradients = gradients.grads();
            record.gradient_norm = gradient_norm(&model, &gradients);
            if !record.gradient_norm.is_finite() {
                return Err(TrainError::NotFinite { step: step + 1, what: "gradient", value: record.gradient_norm, samples: names });
            }
            if record.gradient_norm > config.clip_norm {
                gradients = scaled(&model, gradients, config.clip_norm / record.gradient_norm);
            }
            model = optimizer.step(record.learning_rate, model, gradients);
            progress.step = step + 1;

            let due = |every: u64| every > 0 && progress.step.is_multiple_of(every);
            let stopping = stop.load(Ordering::SeqCst);
            if due(config.evaluate_every) || progress.step == steps {
                record.evaluation = task.evaluate(&model);
            }
            record.seconds = began.elapsed().as_secs_f64();
            let better = record.evaluation.as_ref().is_some_and(|new| progress.best_score.is_none_or(|best| new.score > best));
            if let Some(evaluation) = record.evaluation.as_ref().filter(|_| better) {
                progress.best_score = Some(evaluation.score);
                checkpoints.save_best(&model, &optimizer, &progress)?;
            }
            if reported.elapsed() > REPORT_EVERY || record.evaluation.is_some() || progress.step == steps {
                report(config, &record, progress.step - first, steps);
                reported = Instant::now();
            }
            log.push(record)?;
            if due(config.checkpoint_every) || stopping || progress.step == steps {
                checkpoints.save(&model, &optimizer, &progress)?;
                plot_losses(&plot, &config.name, log.records())?;
            }
            if stopping {
                return Ok((model, Outcome::Stopped));
            }
        }
        Ok((model, Outcome::Finished))
    })?;
    Ok(Trained { model, outcome, progress, records: log.records().to_vec() })
}

/// AdamW; vectors are not decayed.
fn optimizer(config: &TrainConfig) -> ModuleOptimizer {
    let adam = |decay: f32| AdamWConfig::new().with_beta_1(0.9).with_beta_2(config.beta_2).with_weight_decay(decay);
    ["bias", "norm", "gamma", "embed"].into_iter().fold(adam(config.weight_decay).init(), |optimizer, name| {
        optimizer.with_group(ParamGroup::from_predicate(name), adam(0.0).build(), None)
    })
}

/// Adds readings to those of earlier micro-batches.
fn add(sums: &mut Vec<(String, f64)>, readings: &[(&'static str, f64)], accumulate: u64) {
    for (name, value) in readings {
        let value = value / accumulate as f64;
        match sums.iter_mut().find(|(known, _)| known == name) {
            Some((_, sum)) => *sum += value,
            None => sums.push(((*name).to_owned(), value)),
        }
    }
}

fn report(config: &TrainConfig, record: &StepRecord, done: u64, steps: u64) {
    let rate = done as f64 / record.seconds.max(1e-9);
    let left = (steps - record.step) as f64 / rate.max(1e-9);
    let readings: Vec<String> = record.readings.iter().map(|(name, value)| format!("{name} {value:.3}")).collect();
    tracing::info!(
        "{}: step {}/{steps}, loss {:.4}, {rate:.2} steps/s, {} left; {}",
        config.name,
        record.step,
        record.loss,
        clock(left),
        readings.join(", ")
    );
    if let Some(evaluation) = &record.evaluation {
        let readings: Vec<String> = evaluation.readings.iter().map(|(name, value)| format!("{name} {value:.2}")).collect();
        tracing::info!("{}: score {:.2}; {}", config.name, evaluation.score, readings.join(", "));
    }
}

/// Seconds as minutes and seconds.
fn clock(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    format!("{}:{:02}", seconds / 60, seconds % 60)
}
