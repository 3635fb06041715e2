//! The training loop.

use std::{
    ops::Range,
    panic::resume_unwind,
    path::Path,
    sync::{
        atomic::AtomicBool,
        mpsc::{Receiver, sync_channel},
    },
    time::Instant,
};

use burn::{
    module::Module,
    optim::{GradientsAccumulator, GradientsParams},
};

use crate::{
    Evaluation, Progress, StepLoss, StepRecord, Task, TrainConfig, TrainError,
    gradient_norm::{clip_gradients, gradient_norm},
    optimizer::{LearningRates, adamw},
    plot::plot_losses,
    report_line::ReportLine,
    run::{AfterStep, Run},
    run_log::RunLog,
};

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunOutcome {
    /// All steps were done.
    Finished,
    /// The stop flag was set; a checkpoint was written.
    Stopped,
}

/// The result of a training run.
#[derive(Debug)]
#[non_exhaustive]
pub struct Trained<M> {
    /// The model after its last step; frozen groups are still frozen.
    pub model: M,
    /// How the run ended.
    pub outcome: RunOutcome,
    /// Its progress.
    pub progress: Progress,
    /// The records of all steps.
    pub records: Vec<StepRecord>,
}

/// Trains a model, continuing from the newest checkpoint in `folder` if `resume` is set.
///
/// The model must live on an autodiff device. `folder` receives `log.jsonl`, `loss.png` and
/// `checkpoints/`. The run ends after its last step, or with a checkpoint after the step in which
/// `stop` is raised. A flag raised in the last step is left for the caller to handle. Equal runs
/// write equal checkpoints.
///
/// # Errors
///
/// [`TrainError`] if a loss or gradient is not finite (the message names the samples, and the last
/// checkpoint is kept), a setting is invalid, a checkpoint is damaged or belongs to a run with
/// other settings, the folder belongs to another run, or a file cannot be read or written.
///
/// # Panics
///
/// If the task panics.
pub fn train<M, T>(
    model: M,
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
    config.validate()?;
    let (mut run, model) = Run::open(folder, config, resume, model, config.to_text(), |saved| {
        config.difference(saved)
    })?;
    let rates = LearningRates::of(&model, &config.groups)?;
    let mut model = rates.freeze(model);
    let mut optimizer = run.resume_optimizer(adamw(&model, config))?;
    let mut log = RunLog::open(&folder.join("log.jsonl"), run.step())?;
    let Range { start: first, end: steps } = run.remaining();
    let mut line = ReportLine::new(&config.name, first, steps);
    let began = Instant::now();

    let (model, outcome) = std::thread::scope(|scope| {
        // A batch is a function of its number alone, so making batches ahead of time changes
        // nothing.
        let (made, batches) = sync_channel(config.prefetch);
        let worker = scope.spawn(move || {
            let numbers =
                first.saturating_mul(config.accumulate)..steps.saturating_mul(config.accumulate);
            for number in numbers {
                if made.send(task.batch(number, config.seed.split("batch"))).is_err() {
                    return; // the training loop has ended
                }
            }
        });

        for step in first..steps {
            let step_began = Instant::now();
            let Some(Slope { gradients, mut record, samples }) =
                slope(&model, task, config, step, &batches)?
            else {
                match worker.join() {
                    Err(panic) => resume_unwind(panic),
                    Ok(()) => {
                        unreachable!("the worker makes a batch for every micro-batch of every step")
                    }
                }
            };
            record.gradient_norm = gradient_norm(&model, &gradients);
            if !record.gradient_norm.is_finite() {
                return Err(TrainError::NotFinite {
                    step: step + 1,
                    what: "gradient norm",
                    value: record.gradient_norm,
                    samples,
                });
            }
            let gradients =
                clip_gradients(&model, gradients, record.gradient_norm, config.clip_norm);
            record.learning_rate = config.schedule.rate(step);
            model = optimizer.step(rates.at(record.learning_rate), model, gradients);
            record.samples_per_second =
                samples.len() as f64 / step_began.elapsed().as_secs_f64().max(1e-9);
            run.advance();

            if run.is_due(config.evaluate_every) {
                record.evaluation = task.evaluate(&model).map(Evaluation::rounded);
            }
            if let Some(evaluation) = &record.evaluation {
                run.save_if_best(evaluation.score, &model, &optimizer)?;
            }
            record.seconds = began.elapsed().as_secs_f64();
            line.say(&record);
            log.push(record)?;
            let after = run.end_step(&model, &optimizer, stop)?;
            if after != AfterStep::GoOn {
                plot_losses(&folder.join("loss.png"), &config.name, log.records())?;
            }
            if after == AfterStep::Stop {
                return Ok((model, RunOutcome::Stopped));
            }
        }
        Ok((model, RunOutcome::Finished))
    })?;
    Ok(Trained { model, outcome, progress: run.into_progress(), records: log.into_records() })
}

/// The averaged gradient of a step, with its loss and metrics.
struct Slope {
    gradients: GradientsParams,
    record: StepRecord,
    /// The names of the samples in all micro-batches.
    samples: Vec<String>,
}

/// The mean gradient over the micro-batches of a step; `None` if the batches end early.
fn slope<M, T>(
    model: &M,
    task: &T,
    config: &TrainConfig,
    step: u64,
    batches: &Receiver<T::Batch>,
) -> Result<Option<Slope>, TrainError>
where
    M: Module,
    T: Task<M>,
{
    let mut gradients = GradientsAccumulator::new();
    let mut record = StepRecord { step: step + 1, ..Default::default() };
    let mut names = Vec::new();
    let mut readings: Vec<(&'static str, f64, f64)> = Vec::new(); // name, sum, count
    for _ in 0..config.accumulate {
        let Ok(batch) = batches.recv() else { return Ok(None) };
        let StepLoss { loss, readings: new, samples } = task.loss(model, batch);
        names.extend(samples);
        for (name, value) in new {
            match readings.iter_mut().find(|(known, ..)| *known == name) {
                Some((_, sum, count)) => (*sum, *count) = (*sum + value, *count + 1.0),
                None => readings.push((name, value, 1.0)),
            }
        }
        // Gradients of micro-batches accumulate, so each loss is divided by their number.
        let loss = loss.div_scalar(config.accumulate as f64);
        record.loss += f64::from(loss.clone().into_scalar::<f32>());
        if !record.loss.is_finite() {
            return Err(TrainError::NotFinite {
                step: step + 1,
                what: "loss",
                value: record.loss,
                samples: names,
            });
        }
        gradients.accumulate(model, GradientsParams::from_grads(loss.backward(), model));
    }
    record.samples = names.len();
    record.readings =
        readings.into_iter().map(|(name, sum, count)| (name.to_owned(), sum / count)).collect();
    Ok(Some(Slope { gradients: gradients.grads(), record, samples: names }))
}
