//! Errors of reinforcement experiments.

use std::path::PathBuf;

use tp_data::DataError;
use tp_metrics::MetricsError;
use tp_rl::RlError;
use tp_scenes::SceneError;
use tp_train::TrainError;
use tp_vision::VisionError;

use crate::{ModelError, evaluation::EvaluationError};

/// Why a reinforcement experiment failed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages name the fields")]
#[non_exhaustive]
pub enum ReinforcementError {
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    /// A data set cannot be used, or shows no object of a family.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Scenes cannot be generated.
    #[error(transparent)]
    Scenes(#[from] SceneError),
    /// An image cannot be encoded.
    #[error(transparent)]
    Vision(#[from] VisionError),
    /// A model rejects a point or a text.
    #[error(transparent)]
    Evaluation(#[from] EvaluationError),
    /// The training failed.
    #[error(transparent)]
    Rl(#[from] RlError),
    /// A log cannot be read.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// Points cannot be compared.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// The model folder cannot be written.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The run was stopped on request; all progress is on disk.
    #[error("stopped: run again with --resume to continue")]
    Stopped,
}
