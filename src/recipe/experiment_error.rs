//! Why a training of a whole model failed.

use std::path::PathBuf;

use tp_core::PointError;
use tp_data::DataError;
use tp_language::LanguageError;
use tp_scenes::SceneError;
use tp_train::TrainError;
use tp_vision::VisionError;
use tp_weights::WeightsError;

use crate::ModelError;

/// Why a training of a whole model failed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages name the fields")]
#[non_exhaustive]
pub enum ExperimentError {
    /// The folder of the training cannot be made.
    #[error("cannot make {}", path.display())]
    Folder { path: PathBuf, source: std::io::Error },
    /// A data set that cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Scenes that cannot be drawn.
    #[error(transparent)]
    Scenes(#[from] SceneError),
    /// A size that no image has.
    #[error(transparent)]
    Size(#[from] PointError),
    /// A tokenizer that cannot be trained or read.
    #[error(transparent)]
    Language(#[from] LanguageError),
    /// A model folder that cannot be read or written.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Weights that cannot be loaded.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A backbone that does not fit.
    #[error(transparent)]
    Vision(#[from] VisionError),
    /// A table of nouns that cannot be used.
    #[error("the table of nouns is unsound: {problem}")]
    Nouns { problem: String },
    /// A checkpoint that cannot be started from.
    #[error("cannot start from {}: {problem}", path.display())]
    Checkpoint { path: PathBuf, problem: String },
    /// A vision model of another shape than the one to be trained.
    #[error("the vision model of {} has another shape than the tiny model's", path.display())]
    VisionShape { path: PathBuf },
    /// A phase that failed.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// A request to stop; what is done is on the disk.
    #[error("stopped {place}: call again with --resume to go on")]
    Stopped { place: String },
}
