//! Folders from which a run can go on: written under another name, synced, renamed, so that each is whole or not there.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use burn::{module::Module, optim::ModuleOptimizer};
use serde::{Deserialize, Serialize};

use crate::TrainError;

const MODEL: &str = "model.bpk";
const OPTIMIZER: &str = "optimizer.bpk";
const PROGRESS: &str = "progress.json";
const BEST: &str = "best";

/// Where a run stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Steps that are done.
    pub step: u64,
    /// The best score so far.
    pub best_score: Option<f64>,
    /// Says which settings the run has.
    pub settings: String,
}

/// The checkpoints of one run.
#[derive(Clone, Debug)]
pub(crate) struct Checkpoints {
    folder: PathBuf,
    keep: usize,
}

impl Checkpoints {
    pub(crate) fn new(folder: &Path, keep: usize) -> Self {
        Self { folder: folder.join("checkpoints"), keep: keep.max(1) }
    }

    /// Writes a checkpoint and drops those beyond the last few.
    pub(crate) fn save<M: Module>(&self, model: &M, optimizer: &ModuleOptimizer, progress: &Progress) -> Result<(), TrainError> {
        self.write(&format!("step-{:08}", progress.step), model, optimizer, progress)?;
        let saved = self.steps()?;
        for (_, path) in &saved[..saved.len().saturating_sub(self.keep)] {
            fs::remove_dir_all(path).map_err(|source| TrainError::Write { path: path.clone(), source })?;
        }
        Ok(())
    }

    /// Writes the best checkpoint, in place of the one before.
    pub(crate) fn save_best<M: Module>(&self, model: &M, optimizer: &ModuleOptimizer, progress: &Progress) -> Result<(), TrainError> {
        self.write(BEST, model, optimizer, progress)
    }

    /// The newest checkpoint, or `None` if there is none.
    pub(crate) fn last(&self) -> Result<Option<PathBuf>, TrainError> {
        Ok(self.steps()?.pop().map(|(_, path)| path))
    }

    fn write<M: Module>(&self, name: &str, model: &M, optimizer: &ModuleOptimizer, progress: &Progress) -> Result<(), TrainError> {
        let partial = self.folder.join(format!(".{name}.partial"));
        let write = |source| TrainError::Write { path: partial.clone(), source };
        let record =
            |error: &dyn std::fmt::Display| TrainError::Write { path: partial.clone(), source: io::Error::other(error.to_string()) };
        if partial.exists() {
            fs::remove_dir_all(&partial).map_err(write)?;
        }
        fs::create_dir_all(&partial).map_err(write)?;
        model.clone().save_file(partial.join(MODEL)).map_err(|error| record(&error))?;
        optimizer.save(partial.join(OPTIMIZER)).map_err(|error| record(&error))?;
        let mut file = File::create(partial.join(PROGRESS)).map_err(write)?;
        let text = serde_json::to_string_pretty(progress).unwrap_or_default();
        writeln!(file, "{text}").map_err(write)?;
        for name in [MODEL, OPTIMIZER, PROGRESS] {
            File::open(partial.join(name)).and_then(|file| file.sync_all()).map_err(write)?;
        }
        // A folder cannot be renamed onto a full one: the old one steps aside first.
        let (place, old) = (self.folder.join(name), self.folder.join(format!(".{name}.old")));
        if old.exists() {
            fs::remove_dir_all(&old).map_err(write)?;
        }
        if place.exists() {
            fs::rename(&place, &old).map_err(write)?;
        }
        fs::rename(&partial, &place).map_err(write)?;
        if old.exists() {
            fs::remove_dir_all(&old).map_err(write)?;
        }
        #[cfg(unix)]
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(write)?;
        Ok(())
    }

    /// Every checkpoint but the best, oldest first.
    fn steps(&self) -> Result<Vec<(u64, PathBuf)>, TrainError> {
        let Ok(entries) = fs::read_dir(&self.folder) else { return Ok(Vec::new()) };
        let mut steps: Vec<(u64, PathBuf)> = entries
            .filter_map(Result::ok)
            .filter_map(|entry| Some((entry.file_name().to_str()?.strip_prefix("step-")?.parse().ok()?, entry.path())))
            .collect();
        steps.sort_unstable();
        Ok(steps)
    }
}

/// Reads a checkpoint into a model of the same shape.
pub(crate) fn load<M: Module>(
    path: &Path,
    model: M,
    optimizer: ModuleOptimizer,
    settings: &str,
) -> Result<(M, ModuleOptimizer, Progress), TrainError> {
    let unusable =
        |reason: String| TrainError::Checkpoint { path: path.to_owned(), reason: reason.split_whitespace().collect::<Vec<_>>().join(" ") };
    let text = fs::read_to_string(path.join(PROGRESS)).map_err(|source| TrainError::Read { path: path.join(PROGRESS), source })?;
    let progress: Progress = serde_json::from_str(&text).map_err(|error| unusable(format!("{PROGRESS}: {error}")))?;
    if progress.settings != settings {
        return Err(TrainError::OtherRun { path: path.to_owned(), saved: progress.settings, current: settings.to_owned() });
    }
    let model = model.try_load_file(path.join(MODEL)).map_err(|error| unusable(format!("{MODEL}: {error}")))?;
    let optimizer = optimizer.load(path.join(OPTIMIZER)).map_err(|error| unusable(format!("{OPTIMIZER}: {error}")))?;
    Ok((model, optimizer, progress))
}
