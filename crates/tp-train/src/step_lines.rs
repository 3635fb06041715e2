//! JSON lines that belong to steps, any number per step. A resumed run drops the lines of the steps
//! that it repeats.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tp_core::write_atomically;

use crate::TrainError;

/// A file of JSON objects, one per line, each with the number of its `step`. It is not held in
/// memory.
#[derive(Debug)]
pub struct StepLines {
    path: PathBuf,
    file: File,
}

/// The part of an existing line that is parsed.
#[derive(Deserialize)]
struct Numbered {
    step: u64,
}

impl StepLines {
    /// Opens the file of a run that has completed `steps` steps. Lines of later steps and an
    /// incomplete last line are removed; all others keep their bytes.
    ///
    /// # Errors
    ///
    /// [`TrainError`] if the file cannot be read or written.
    pub fn open(path: &Path, steps: u64) -> Result<Self, TrainError> {
        let write = |source| TrainError::Write { path: path.to_owned(), source };
        if path.exists() {
            let old = File::open(path)
                .map_err(|source| TrainError::Read { path: path.to_owned(), source })?;
            write_atomically(path, |out| {
                let mut old = BufReader::new(old);
                let mut line = Vec::new();
                while old.read_until(b'\n', &mut line)? > 0 {
                    let done = line.ends_with(b"\n")
                        && serde_json::from_slice::<Numbered>(&line)
                            .is_ok_and(|line| line.step <= steps);
                    if done {
                        out.write_all(&line)?;
                    }
                    line.clear();
                }
                Ok(())
            })
            .map_err(write)?;
        }
        let file = OpenOptions::new().create(true).append(true).open(path).map_err(write)?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Appends the records of a step, one per line, in a single write. Each must have a field
    /// `step`.
    ///
    /// # Errors
    ///
    /// [`TrainError::Write`] if the file cannot be written.
    pub fn push<R: Serialize>(&mut self, records: &[R]) -> Result<(), TrainError> {
        let mut text = Vec::new();
        let written = records.iter().try_for_each(|record| {
            serde_json::to_writer(&mut text, record).map_err(io::Error::from)?;
            text.write_all(b"\n")
        });
        written
            .and_then(|()| self.file.write_all(&text))
            .map_err(|source| TrainError::Write { path: self.path.clone(), source })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    #[test]
    fn reopened_lines_keep_their_bytes_and_lose_repeated_steps_and_half_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("samples.jsonl");
        let mut lines = StepLines::open(&path, 0).unwrap();
        for step in 1..=3 {
            lines
                .push(&[json!({"step": step, "text": "a"}), json!({"step": step, "text": "b"})])
                .unwrap();
        }
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{text}{{\"step\":1,\"te")).unwrap();
        let mut lines = StepLines::open(&path, 2).unwrap();
        let kept: String = text.lines().take(4).map(|line| format!("{line}\n")).collect();
        assert_eq!(fs::read_to_string(&path).unwrap(), kept);
        lines.push(&[json!({"step": 3, "text": "a"}), json!({"step": 3, "text": "b"})]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}
