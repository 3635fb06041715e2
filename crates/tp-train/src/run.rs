//! The skeleton of a run in its folder: lock, checkpoints, progress. All training loops of the
//! workspace are built on it.

use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use burn::{module::Module, optim::ModuleOptimizer};

use crate::{
    Progress, TrainConfig, TrainError,
    checkpoint::{Checkpoints, load_model, load_optimizer},
    parameter_numbers::with_numbered_parameters,
    run_folder::RunFolder,
};

/// An open run. It holds the lock of its folder until it is dropped.
#[derive(Debug)]
pub struct Run {
    _folder: RunFolder,
    checkpoints: Checkpoints,
    resumed_from: Option<PathBuf>,
    progress: Progress,
    steps: u64,
    checkpoint_every: u64,
}

/// What a training loop does after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterStep {
    /// Continue; nothing was written.
    GoOn,
    /// Continue; a checkpoint was written.
    Saved,
    /// Stop as requested; a checkpoint was written.
    Stop,
}

impl Run {
    /// Opens a run and loads the newest checkpoint in its folder, if there is one, into the model.
    ///
    /// - `resume`: whether an existing run may be continued
    /// - `settings`: the configuration of the run as text, stored in its checkpoints
    /// - `difference`: given the settings of a checkpoint, describes how they differ, if they do
    ///
    /// # Errors
    ///
    /// [`TrainError`] if the folder is in use or already holds a run, or a checkpoint is damaged or
    /// belongs to a run with other settings.
    pub fn open<M: Module>(
        folder: &Path,
        config: &TrainConfig,
        resume: bool,
        model: M,
        settings: String,
        difference: impl Fn(&str) -> Option<String>,
    ) -> Result<(Self, M), TrainError> {
        let locked = RunFolder::open(folder)?;
        let checkpoints = Checkpoints::open(folder, config.keep)?;
        if !resume && !checkpoints.is_empty()? {
            return Err(TrainError::Occupied { folder: folder.to_owned() });
        }
        let steps = config.schedule.steps;
        let mut progress = Progress::default();
        // A checkpoint refers to parameters by number.
        let mut model = with_numbered_parameters(model);
        let resumed_from = checkpoints.last()?;
        if let Some(path) = &resumed_from {
            (model, progress) = load_model(path, model, steps, difference)?;
        }
        progress.settings = settings;
        let run = Self {
            _folder: locked,
            checkpoints,
            resumed_from,
            progress,
            steps,
            checkpoint_every: config.checkpoint_every,
        };
        Ok((run, model))
    }

    /// Restores the state of the optimizer from the checkpoint at which the run was resumed, if
    /// there is one.
    ///
    /// # Errors
    ///
    /// [`TrainError`] if the checkpoint is damaged.
    pub fn resume_optimizer(
        &self,
        optimizer: ModuleOptimizer,
    ) -> Result<ModuleOptimizer, TrainError> {
        match &self.resumed_from {
            Some(path) => load_optimizer(path, optimizer),
            None => Ok(optimizer),
        }
    }

    /// The number of completed steps.
    #[must_use]
    pub fn step(&self) -> u64 {
        self.progress.step
    }

    /// The numbers of the remaining steps.
    #[must_use]
    pub fn remaining(&self) -> Range<u64> {
        self.progress.step..self.steps
    }

    /// The progress of the run.
    #[must_use]
    pub fn into_progress(self) -> Progress {
        self.progress
    }

    /// Counts a completed step.
    pub fn advance(&mut self) {
        self.progress.step += 1;
    }

    /// Whether something that happens every `every` steps (0 = only after the last) is due.
    #[must_use]
    pub fn is_due(&self, every: u64) -> bool {
        let step = self.progress.step;
        step == self.steps || (every > 0 && step.is_multiple_of(every))
    }

    /// Saves model and optimizer as the best checkpoint if the score is the highest so far.
    ///
    /// # Errors
    ///
    /// [`TrainError`] if a file cannot be written.
    pub fn save_if_best<M: Module>(
        &mut self,
        score: f64,
        model: &M,
        optimizer: &ModuleOptimizer,
    ) -> Result<(), TrainError> {
        if score.is_nan() || self.progress.best_score.is_some_and(|best| score <= best) {
            return Ok(());
        }
        self.progress.best_score = Some(score);
        self.checkpoints.save_best(model, optimizer, &self.progress)
    }

    /// Ends a counted step: saves a checkpoint if one is due or `stop` is set.
    ///
    /// # Errors
    ///
    /// [`TrainError`] if a file cannot be written.
    pub fn end_step<M: Module>(
        &self,
        model: &M,
        optimizer: &ModuleOptimizer,
        stop: &AtomicBool,
    ) -> Result<AfterStep, TrainError> {
        let stopping = stop.load(Ordering::SeqCst);
        if !stopping && !self.is_due(self.checkpoint_every) {
            return Ok(AfterStep::GoOn);
        }
        self.checkpoints.save(model, optimizer, &self.progress)?;
        let is_last = self.progress.step == self.steps;
        Ok(if stopping && !is_last { AfterStep::Stop } else { AfterStep::Saved })
    }
}
