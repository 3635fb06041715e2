//! A run in its folder: the lock, the checkpoints, where it stands, and when it is saved. Every
//! training loop of the workspace is written around it.

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

/// A run that has been opened. Nobody else can write to its folder as long as it lives.
#[derive(Debug)]
pub struct Run {
    _folder: RunFolder,
    checkpoints: Checkpoints,
    resumed_from: Option<PathBuf>,
    progress: Progress,
    steps: u64,
    checkpoint_every: u64,
}

/// Whether a run goes on after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterStep {
    /// Nothing was written.
    GoOn,
    /// A checkpoint was written.
    Saved,
    /// A checkpoint was written, because the run was asked to stop.
    Stop,
}

impl Run {
    /// Opens a run, and fills the model from the newest checkpoint in its folder, if there is one.
    ///
    /// - `resume`: whether there may be one
    /// - `settings`: the configuration of the run as text, kept in its checkpoints
    /// - `difference`: how the settings of a checkpoint differ from those of the run, if they do
    ///
    /// # Errors
    ///
    /// [`TrainError`] if the folder is in use or has a run already, or a checkpoint is damaged or
    /// of another run.
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
        // A checkpoint knows parameters by their number.
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

    /// An optimizer with the state that it had in the checkpoint from which the run goes on.
    ///
    /// # Errors
    ///
    /// [`TrainError`] if the checkpoint is damaged.
    pub fn resumed(&self, optimizer: ModuleOptimizer) -> Result<ModuleOptimizer, TrainError> {
        match &self.resumed_from {
            Some(path) => load_optimizer(path, optimizer),
            None => Ok(optimizer),
        }
    }

    /// Steps that are done.
    #[must_use]
    pub fn step(&self) -> u64 {
        self.progress.step
    }

    /// The numbers of the steps that are to be done.
    #[must_use]
    pub fn remaining(&self) -> Range<u64> {
        self.progress.step..self.steps
    }

    /// Where the run stands.
    #[must_use]
    pub fn into_progress(self) -> Progress {
        self.progress
    }

    /// Counts a step.
    pub fn advance(&mut self) {
        self.progress.step += 1;
    }

    /// Whether something that is done every so many steps (0 = after the last alone) is due.
    #[must_use]
    pub fn is_due(&self, every: u64) -> bool {
        let step = self.progress.step;
        step == self.steps || (every > 0 && step.is_multiple_of(every))
    }

    /// Saves model and optimizer apart from the newest checkpoints if no score was better before.
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

    /// Ends a step that has been counted: saves a checkpoint if one is due or `stop` was raised.
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
