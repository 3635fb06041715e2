//! A whole reinforcement run: steps, files, checkpoints and resumption.

use std::{
    ops::Range,
    path::Path,
    sync::atomic::AtomicBool,
    time::{Duration, Instant},
};

use serde::Serialize;
use tp_train::{
    AfterStep, Run, RunOutcome, StepLines, TrainConfig, TrainError, adamw, clock, plot::plot_curve,
    rounded,
};

use crate::{
    GrpoConfig, GrpoParts, Judge, PointSource, Policy, RlError, StepOutcome, StepReport, Trainer,
};

/// The minimum interval between progress messages.
const EVERY: Duration = Duration::from_secs(10);

/// The result of a run.
#[derive(Debug)]
#[non_exhaustive]
pub struct Reinforced<W> {
    /// The weights after the last step.
    pub weights: W,
    /// How the run ended.
    pub outcome: RunOutcome,
    /// The number of completed steps.
    pub steps: u64,
    /// The reports of the steps of this call.
    pub reports: Vec<StepReport>,
    /// Samples generated, judged and trained on per second, in this call.
    pub samples_per_second: f64,
}

/// The plotted statistics, and how each is read from a report.
const CURVES: [(&str, Reading); 4] = [
    ("reward", |step| step.reward),
    ("kl", |step| step.kl),
    ("distance", |step| step.distance),
    ("tokens", |step| step.mean_tokens),
];

type Reading = fn(&StepReport) -> f64;

/// A line of `timings.jsonl`, the only file of a run that is not reproducible.
#[derive(Serialize)]
struct Timing {
    step: u64,
    rollout_seconds: f64,
    update_seconds: f64,
    samples_per_second: f64,
}

/// Trains a policy, continuing from the newest checkpoint in `folder` if `resume` is set.
///
/// `folder` receives `steps.jsonl` (one line per step), `samples.jsonl` (one line per sample:
/// description, reward terms, true and located point), `timings.jsonl`, `reward.png`, `kl.png`,
/// `distance.png` and `checkpoints/`. The run ends after its last step, or with a checkpoint after
/// the step in which `stop` is raised. A flag raised in the last step is left for the caller to
/// handle. A run that is interrupted at any time and resumed writes the same bytes (except the
/// timings) as an uninterrupted one, because every random draw is a function of the seed and the
/// step number.
///
/// # Errors
///
/// [`RlError`] as [`Trainer::step`], and if the folder belongs to another run or a file cannot be
/// read or written.
pub fn reinforce<P, J, S>(
    parts: GrpoParts<'_, P, J, S>,
    config: &GrpoConfig,
    weights: P::Weights,
    folder: &Path,
    resume: bool,
    stop: &AtomicBool,
) -> Result<Reinforced<P::Weights>, RlError>
where
    P: Policy,
    J: Judge<Image = P::Image>,
    S: PointSource<Image = P::Image>,
{
    config.validate()?;
    let training = TrainConfig { keep: config.training.keep.max(1), ..config.training.clone() };
    let (mut run, weights) =
        Run::open(folder, &training, resume, weights, config.to_text(), |saved| {
            config.difference(saved)
        })?;
    let optimizer = run.resume_optimizer(adamw(&weights, &training))?;
    let mut trainer = Trainer::new(parts, config.clone(), weights)?.at(run.step(), optimizer);
    let mut step_lines = StepLines::open(&folder.join("steps.jsonl"), run.step())?;
    let mut sample_lines = StepLines::open(&folder.join("samples.jsonl"), run.step())?;
    let mut timing_lines = StepLines::open(&folder.join("timings.jsonl"), run.step())?;

    let Range { start: first, end: steps } = run.remaining();
    let (mut reports, mut n_samples, mut outcome) = (Vec::new(), 0, RunOutcome::Finished);
    let (began, mut said) = (Instant::now(), Instant::now());
    for _ in first..steps {
        let StepOutcome { report, samples, rollout_time, update_time } = trainer.step()?;
        run.advance();
        n_samples += samples.len();
        sample_lines.push(&samples)?;
        let seconds = (rollout_time + update_time).as_secs_f64().max(1e-9);
        timing_lines.push(&[Timing {
            step: run.step(),
            rollout_seconds: rounded(rollout_time.as_secs_f64()),
            update_seconds: rounded(update_time.as_secs_f64()),
            samples_per_second: rounded(samples.len() as f64 / seconds),
        }])?;
        step_lines.push(&[&report])?;
        if said.elapsed() >= EVERY || run.step() == steps {
            said = Instant::now();
            let left = began.elapsed().as_secs_f64() / (run.step() - first) as f64
                * (steps - run.step()) as f64;
            let StepReport { reward, distance, kl, mean_tokens, frac_zero_std, .. } = report;
            tracing::info!(
                "{}: step {}/{steps}, reward {reward:.4}, distance {distance:.3}, kl {kl:.4}, {mean_tokens:.1} tokens, {:.0} % idle groups, {} left",
                config.training.name,
                run.step(),
                100.0 * frac_zero_std,
                clock(left),
            );
        }
        reports.push(report);
        if run.end_step(trainer.weights(), trainer.optimizer(), stop)? == AfterStep::Stop {
            outcome = RunOutcome::Stopped;
            break;
        }
    }
    plot(folder, &config.training.name)?;
    let samples_per_second = n_samples as f64 / began.elapsed().as_secs_f64().max(1e-9);
    Ok(Reinforced {
        weights: trainer.weights().clone(),
        outcome,
        steps: run.step(),
        reports,
        samples_per_second,
    })
}

/// Reads the reports of all recorded steps.
///
/// # Errors
///
/// [`TrainError::Read`] if the file cannot be read; malformed lines are skipped.
pub fn read_steps(folder: &Path) -> Result<Vec<StepReport>, TrainError> {
    let path = folder.join("steps.jsonl");
    let text =
        std::fs::read_to_string(&path).map_err(|source| TrainError::Read { path, source })?;
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

fn plot(folder: &Path, name: &str) -> Result<(), TrainError> {
    let steps = read_steps(folder)?;
    for (label, value) in CURVES {
        let points: Vec<(u64, f64)> = steps.iter().map(|step| (step.step, value(step))).collect();
        plot_curve(
            &folder.join(format!("{label}.png")),
            &format!("{name}: {label}"),
            label,
            &points,
            points.len() / 6,
        )?;
    }
    Ok(())
}
