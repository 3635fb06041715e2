//! One JSON line a step, appended; a resumed run drops the lines of the steps that it repeats.

use std::{
    fs::{self, File, OpenOptions},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tp_core::write_atomically;

use crate::TrainError;

/// What is known of one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Counted from 1.
    pub step: u64,
    /// The mean loss of the step's micro-batches.
    pub loss: f64,
    /// The norm of the gradient before clipping.
    pub gradient_norm: f64,
    /// The learning rate.
    pub learning_rate: f64,
    /// Since the run, or its last resumption, began.
    pub seconds: f64,
    /// Parts of the loss and other readings, by name.
    pub readings: Vec<(String, f64)>,
    /// The judge's word, at steps that were judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluation: Option<crate::Evaluation>,
}

/// The log of a run.
pub(crate) struct RunLog {
    path: PathBuf,
    file: File,
    records: Vec<StepRecord>,
}

impl RunLog {
    /// Opens the log of a run that has done `steps` steps.
    pub(crate) fn open(path: &Path, steps: u64) -> Result<Self, TrainError> {
        let write = |source| TrainError::Write { path: path.to_owned(), source };
        let records: Vec<StepRecord> = match File::open(path) {
            Ok(file) => BufReader::new(file)
                .lines()
                .map_while(Result::ok)
                .filter_map(|line| serde_json::from_str::<StepRecord>(&line).ok()) // the last line may be half a line
                .filter(|record| record.step <= steps)
                .collect(),
            Err(_) => Vec::new(),
        };
        write_atomically(path, |out| {
            for record in &records {
                writeln!(out, "{}", serde_json::to_string(record)?)?;
            }
            Ok(())
        })
        .map_err(write)?;
        let file = OpenOptions::new().append(true).open(path).map_err(write)?;
        Ok(Self { path: path.to_owned(), file, records })
    }

    pub(crate) fn push(&mut self, record: StepRecord) -> Result<(), TrainError> {
        let line = serde_json::to_string(&record).unwrap_or_default();
        writeln!(self.file, "{line}").map_err(|source| TrainError::Write { path: self.path.clone(), source })?;
        self.records.push(record);
        Ok(())
    }

    pub(crate) fn records(&self) -> &[StepRecord] {
        &self.records
    }
}

/// Makes the folder of a run.
pub(crate) fn make_folder(folder: &Path) -> Result<(), TrainError> {
    fs::create_dir_all(folder).map_err(|source| TrainError::Write { path: folder.to_owned(), source })
}
