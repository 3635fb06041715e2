//! Checkpoint folders: written under a temporary name, synced and renamed, so that each is either
//! complete or absent.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use burn::{
    module::Module,
    optim::{ModuleOptimizer, OptimizerRecord},
    store::{
        RecordError,
        burn_pack::{Reader, Writer},
    },
};
use serde::{Deserialize, Serialize};

use crate::TrainError;

const MODEL: &str = "model.bpk";
const OPTIMIZER: &str = "optimizer.bpk";
const PROGRESS: &str = "progress.json";
const BEST: &str = "best";
/// The number of characters of a reason that are shown, because Burn lists every tensor of a model
/// that does not fit.
const LONGEST_REASON: usize = 240;

/// The progress of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Progress {
    /// The number of completed steps.
    pub step: u64,
    /// The best score so far.
    pub best_score: Option<f64>,
    /// The configuration of the run as JSON.
    pub settings: String,
}

/// The checkpoints of one run.
#[derive(Clone, Debug)]
pub(crate) struct Checkpoints {
    folder: PathBuf,
    keep: usize,
}

impl Checkpoints {
    /// The checkpoints in the folder of a run, after removing the remains of interrupted writes.
    ///
    /// # Errors
    ///
    /// [`TrainError`] if the folder cannot be created, read or cleaned.
    pub(crate) fn open(folder: &Path, keep: usize) -> Result<Self, TrainError> {
        let checkpoints = Self { folder: folder.join("checkpoints"), keep };
        fs::create_dir_all(&checkpoints.folder).map_err(failed(&checkpoints.folder))?;
        let (best, old_best) =
            (checkpoints.folder.join(BEST), checkpoints.folder.join(hidden(BEST, "old")));
        if old_best.exists() && !best.exists() {
            fs::rename(&old_best, &best).map_err(failed(&best))?;
        }
        for (name, path) in checkpoints.entries()? {
            if name.starts_with('.') && (name.ends_with(".partial") || name.ends_with(".old")) {
                fs::remove_dir_all(&path).map_err(failed(&path))?;
            }
        }
        Ok(checkpoints)
    }

    /// Whether there are no checkpoints.
    ///
    /// # Errors
    ///
    /// [`TrainError::Read`] if the folder cannot be read.
    pub(crate) fn is_empty(&self) -> Result<bool, TrainError> {
        Ok(self.steps()?.is_empty() && !self.folder.join(BEST).exists())
    }

    /// Writes a checkpoint and removes the oldest ones beyond the configured number.
    ///
    /// # Errors
    ///
    /// [`TrainError::Write`] if it cannot be written; the earlier ones are kept.
    pub(crate) fn save<M: Module>(
        &self,
        model: &M,
        optimizer: &ModuleOptimizer,
        progress: &Progress,
    ) -> Result<(), TrainError> {
        self.write(&format!("step-{:08}", progress.step), model, optimizer, progress)?;
        let saved = self.steps()?;
        saved[..saved.len().saturating_sub(self.keep)]
            .iter()
            .try_for_each(|(_, name)| self.discard(name))
    }

    /// Writes the best checkpoint, replacing the previous one.
    pub(crate) fn save_best<M: Module>(
        &self,
        model: &M,
        optimizer: &ModuleOptimizer,
        progress: &Progress,
    ) -> Result<(), TrainError> {
        self.write(BEST, model, optimizer, progress)
    }

    /// The newest checkpoint, or `None` if there is none.
    ///
    /// # Errors
    ///
    /// [`TrainError::Read`] if the folder cannot be read.
    pub(crate) fn last(&self) -> Result<Option<PathBuf>, TrainError> {
        Ok(self.steps()?.pop().map(|(_, name)| self.folder.join(name)))
    }

    fn write<M: Module>(
        &self,
        name: &str,
        model: &M,
        optimizer: &ModuleOptimizer,
        progress: &Progress,
    ) -> Result<(), TrainError> {
        let partial = self.folder.join(hidden(name, "partial"));
        if partial.exists() {
            fs::remove_dir_all(&partial).map_err(failed(&partial))?;
        }
        fs::create_dir_all(&partial).map_err(failed(&partial))?;
        let burned = |error: RecordError| failed(&partial)(io::Error::other(error.to_string()));
        model.clone().save_file(partial.join(MODEL)).map_err(burned)?;
        save_in_order(optimizer.to_record(), &partial.join(OPTIMIZER)).map_err(burned)?;
        let text = serde_json::to_string_pretty(progress)
            .expect("a struct of numbers and strings has a JSON form");
        File::create(partial.join(PROGRESS))
            .and_then(|mut file| writeln!(file, "{text}"))
            .map_err(failed(&partial))?;
        for name in [MODEL, OPTIMIZER, PROGRESS] {
            // Windows can only sync a file that is open for writing.
            OpenOptions::new()
                .write(true)
                .open(partial.join(name))
                .and_then(|file| file.sync_all())
                .map_err(failed(&partial))?;
        }
        sync_folder(&partial)?;
        // A folder cannot be renamed onto a non-empty one, so the old one is moved aside first.
        // `open` restores it if the process dies here.
        let (place, old) = (self.folder.join(name), self.folder.join(hidden(name, "old")));
        if place.exists() {
            fs::rename(&place, &old).map_err(failed(&place))?;
        }
        fs::rename(&partial, &place).map_err(failed(&place))?;
        sync_folder(&self.folder)?;
        if old.exists() {
            fs::remove_dir_all(&old).map_err(failed(&old))?;
        }
        Ok(())
    }

    /// Removes a checkpoint, renaming it first so that a partly removed one is never mistaken for
    /// one.
    fn discard(&self, name: &str) -> Result<(), TrainError> {
        let (path, old) = (self.folder.join(name), self.folder.join(hidden(name, "old")));
        fs::rename(&path, &old).map_err(failed(&path))?;
        fs::remove_dir_all(&old).map_err(failed(&old))
    }

    /// Every checkpoint but the best, oldest first.
    fn steps(&self) -> Result<Vec<(u64, String)>, TrainError> {
        let step = |name: String| Some((name.strip_prefix("step-")?.parse().ok()?, name));
        let mut steps: Vec<(u64, String)> =
            self.entries()?.into_iter().filter_map(|(name, _)| step(name)).collect();
        steps.sort_unstable();
        Ok(steps)
    }

    fn entries(&self) -> Result<Vec<(String, PathBuf)>, TrainError> {
        let read = |source| TrainError::Read { path: self.folder.clone(), source };
        let named =
            |entry: fs::DirEntry| (entry.file_name().to_string_lossy().into_owned(), entry.path());
        fs::read_dir(&self.folder)
            .map_err(read)?
            .map(|entry| entry.map(named).map_err(read))
            .collect()
    }
}

/// Writes the state of an optimizer with its tensors sorted by name, because Burn returns them in
/// an arbitrary order.
fn save_in_order(state: OptimizerRecord, path: &Path) -> Result<(), RecordError> {
    let state = Reader::from_bytes(state.into_bytes()?)?;
    let (scalars, paths) = (state.scalars().clone(), state.metadata().clone());
    let writer =
        scalars.iter().fold(Writer::new(state.into_tensors()?), |writer, (name, value)| {
            writer.with_scalar(name, *value)
        });
    Ok(paths
        .iter()
        .fold(writer, |writer, (name, path)| writer.with_metadata(name, path))
        .write_to_file(path)?)
}

/// Loads the weights of a checkpoint into a model of the same shape. The parameters get the ids
/// that they had when it was written.
///
/// # Errors
///
/// [`TrainError::OtherRun`] if `difference` reports one for the saved settings;
/// [`TrainError::Checkpoint`] if a file is damaged or more than `steps` steps are done.
pub(crate) fn load_model<M: Module>(
    path: &Path,
    model: M,
    steps: u64,
    difference: impl Fn(&str) -> Option<String>,
) -> Result<(M, Progress), TrainError> {
    let text = fs::read_to_string(path.join(PROGRESS))
        .map_err(|source| TrainError::Read { path: path.join(PROGRESS), source })?;
    let progress: Progress =
        serde_json::from_str(&text).map_err(|error| unusable(path, PROGRESS, &error))?;
    if let Some(difference) = difference(&progress.settings) {
        return Err(TrainError::OtherRun { path: path.to_owned(), difference });
    }
    if progress.step > steps {
        return Err(unusable(
            path,
            PROGRESS,
            &format!("it has done {} steps, the run has {}", progress.step, steps),
        ));
    }
    let model =
        model.try_load_file(path.join(MODEL)).map_err(|error| unusable(path, MODEL, &error))?;
    Ok((model, progress))
}

/// Loads the state of an optimizer whose parameter groups were made for the loaded model.
///
/// # Errors
///
/// [`TrainError::Checkpoint`] if the file is damaged.
pub(crate) fn load_optimizer(
    path: &Path,
    optimizer: ModuleOptimizer,
) -> Result<ModuleOptimizer, TrainError> {
    let record = OptimizerRecord::load(path.join(OPTIMIZER))
        .map_err(|error| unusable(path, OPTIMIZER, &error))?;
    let saved = record.len();
    let optimizer = optimizer.load_record(record);
    // Burn silently drops what it cannot restore, and the moments would restart from zero.
    match optimizer.to_record().len() {
        loaded if loaded == saved => Ok(optimizer),
        loaded => {
            Err(unusable(path, OPTIMIZER, &format!("{loaded} of {saved} tensors are usable")))
        }
    }
}

/// `.best.old`: hidden, so that it is not mistaken for a checkpoint.
fn hidden(name: &str, state: &str) -> String {
    format!(".{name}.{state}")
}

fn failed(path: &Path) -> impl Fn(io::Error) -> TrainError {
    let path = path.to_owned();
    move |source| TrainError::Write { path: path.clone(), source }
}

fn unusable(path: &Path, file: &str, error: &dyn std::fmt::Display) -> TrainError {
    let mut reason = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = reason.char_indices().nth(LONGEST_REASON) {
        reason.truncate(end);
        reason.push('…');
    }
    TrainError::Checkpoint { path: path.to_owned(), reason: format!("{file}: {reason}") }
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> Result<(), TrainError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed(folder))
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> Result<(), TrainError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opening_clears_half_written_folders_and_brings_the_best_back() {
        let run = tempfile::tempdir().unwrap();
        let folder = run.path().join("checkpoints");
        for name in
            [".best.old", ".best.partial", ".step-00000003.old", "step-00000005", "step-00000012"]
        {
            fs::create_dir_all(folder.join(name)).unwrap();
            fs::write(folder.join(name).join("name"), name).unwrap();
        }
        let checkpoints = Checkpoints::open(run.path(), 1).unwrap();
        let mut names: Vec<String> =
            checkpoints.entries().unwrap().into_iter().map(|(name, _)| name).collect();
        names.sort();
        assert_eq!(names, ["best", "step-00000005", "step-00000012"]);
        assert_eq!(fs::read_to_string(folder.join("best/name")).unwrap(), ".best.old");
        assert_eq!(checkpoints.last().unwrap().unwrap(), folder.join("step-00000012"));
    }
}
