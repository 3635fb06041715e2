//! Why an experiment of reinforcement failed.

use std::path::PathBuf;

use tp_data::DataError;
use tp_metrics::MetricsError;
use tp_rl::RlError;
use tp_scenes::SceneError;
use tp_train::TrainError;
use tp_vision::VisionError;

use crate::{ModelError, evaluation::EvaluationError};

/// Why an experiment of reinforcement failed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages name the fields")]
#[non_exhaustive]
pub enum ReinforcementError {
    /// A file that cannot be written.
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    /// A data set that cannot be used, or shows none of a family.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Scenes that cannot be drawn.
    #[error(transparent)]
    Scenes(#[from] SceneError),
    /// An image that cannot be encoded.
    #[error(transparent)]
    Vision(#[from] VisionError),
    /// A point or a text that a model refuses.
    #[error(transparent)]
    Evaluation(#[from] EvaluationError),
    /// A training that failed.
    #[error(transparent)]
    Rl(#[from] RlError),
    /// A log that cannot be read.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// Points that cannot be compared.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// A model folder that cannot be written.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A request to stop; what is done is on the disk.
    #[error("stopped: call again with --resume to go on")]
    Stopped,
}
