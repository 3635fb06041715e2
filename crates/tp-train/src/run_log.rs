//! The training log: one JSON line per step. A resumed run drops the lines of the steps that it
//! repeats.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tp_core::write_atomically;

use crate::{
    Evaluation, TrainError,
    readings::{self, rounded},
};

/// The record of one step. Numbers have nine significant digits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StepRecord {
    /// Counted from 1.
    pub step: u64,
    /// The mean loss over the step's micro-batches.
    pub loss: f64,
    /// The gradient norm before clipping.
    pub gradient_norm: f64,
    /// The learning rate.
    pub learning_rate: f64,
    /// Seconds since the run started or was resumed.
    pub seconds: f64,
    /// The number of samples in the step.
    #[serde(default)]
    pub samples: usize,
    /// Samples per second in this step, without evaluation and checkpoint.
    #[serde(default)]
    pub samples_per_second: f64,
    /// Components of the loss and other metrics by name, averaged over the micro-batches that
    /// report them.
    #[serde(with = "readings")]
    pub readings: Vec<(String, f64)>,
    /// The evaluation, at steps at which one was due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluation: Option<Evaluation>,
}

impl StepRecord {
    fn rounded(self) -> Self {
        Self {
            loss: rounded(self.loss),
            gradient_norm: rounded(self.gradient_norm),
            learning_rate: rounded(self.learning_rate),
            seconds: rounded(self.seconds),
            samples_per_second: rounded(self.samples_per_second),
            readings: self
                .readings
                .into_iter()
                .map(|(name, value)| (name, rounded(value)))
                .collect(),
            evaluation: self.evaluation.map(Evaluation::rounded),
            ..self
        }
    }
}

/// The log of a run.
pub(crate) struct RunLog {
    path: PathBuf,
    file: File,
    records: Vec<StepRecord>,
}

impl RunLog {
    /// Opens the log of a run that has completed `steps` steps.
    pub(crate) fn open(path: &Path, steps: u64) -> Result<Self, TrainError> {
        let write = |source| TrainError::Write { path: path.to_owned(), source };
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(source) => return Err(TrainError::Read { path: path.to_owned(), source }),
        };
        let mut records: Vec<StepRecord> = Vec::new();
        for (number, line) in
            text.split(|&byte| byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty())
        {
            match serde_json::from_slice::<StepRecord>(line) {
                Ok(record) if record.step <= steps => records.push(record),
                Ok(_) => {}
                // A killed process leaves an incomplete last line.
                Err(error) => {
                    tracing::warn!("{}, line {}: skipped, {error}", path.display(), number + 1)
                }
            }
        }
        write_atomically(path, |out| {
            records
                .iter()
                .try_for_each(|record| writeln!(out, "{}", serde_json::to_string(record)?))
        })
        .map_err(write)?;
        let file = OpenOptions::new().append(true).open(path).map_err(write)?;
        Ok(Self { path: path.to_owned(), file, records })
    }

    pub(crate) fn push(&mut self, record: StepRecord) -> Result<(), TrainError> {
        let record = record.rounded();
        let line = serde_json::to_string(&record)
            .expect("a struct of numbers and strings has a JSON form");
        writeln!(self.file, "{line}")
            .map_err(|source| TrainError::Write { path: self.path.clone(), source })?;
        self.records.push(record);
        Ok(())
    }

    pub(crate) fn records(&self) -> &[StepRecord] {
        &self.records
    }

    pub(crate) fn into_records(self) -> Vec<StepRecord> {
        self.records
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reopened_log_drops_repeated_steps_and_half_a_line_but_no_reading() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        let mut log = RunLog::open(&path, 0).unwrap();
        for step in 1..=4 {
            let readings =
                vec![("b".to_owned(), f64::NAN), ("a".to_owned(), 0.1 + step as f64 / 3.0)];
            log.push(StepRecord { step, loss: 1.0 / 3.0, readings, ..Default::default() }).unwrap();
        }
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(r#""readings":{"b":null,"a":0.433333333}"#), "{text}");
        fs::write(&path, format!("{text}{{\"step\":5,\"lo")).unwrap();
        let reopened = RunLog::open(&path, 3).unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            text.lines().take(3).map(|line| format!("{line}\n")).collect::<String>()
        );
        assert_eq!(reopened.records()[2].readings[1], log.records()[2].readings[1]);
        assert!(reopened.records()[2].readings[0].1.is_nan());
    }

    #[test]
    fn pairs_are_read_as_well() {
        let line = r#"{"step":1,"loss":2.0,"gradient_norm":1.0,"learning_rate":0.1,"seconds":3.0,"readings":[["a",0.5]]}"#;
        assert_eq!(
            serde_json::from_str::<StepRecord>(line).unwrap().readings,
            [("a".to_owned(), 0.5)]
        );
    }
}
