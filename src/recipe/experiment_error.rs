//! Errors of training a whole model.

use std::path::PathBuf;

use tp_core::PointError;
use tp_data::DataError;
use tp_language::LanguageError;
use tp_scenes::SceneError;
use tp_train::TrainError;
use tp_vision::VisionError;
use tp_weights::WeightsError;

use super::RecipeError;
use crate::{ModelError, evaluation::EvaluationError};

/// Why a training of a whole model failed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages name the fields")]
#[non_exhaustive]
pub enum ExperimentError {
    /// The output folder cannot be created.
    #[error("cannot create {}", path.display())]
    Folder { path: PathBuf, source: std::io::Error },
    /// The recipe or its data cannot be used.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// The recipe needs published weights.
    #[error("this recipe needs the published weights of a backbone: --backbone FILE")]
    NoBackbone,
    /// The recipe needs a model folder.
    #[error("this recipe starts from a model folder: --base DIR")]
    NoBase,
    /// Weights, gradients and the optimizer's moments alone do not fit into memory.
    #[error("{what} needs {:.1} GB without activations, and {:.1} GB are available: keep the base in blocks (--weights q8_0), train fewer parameters (`trained`), or use a machine with more memory", *needed as f64 / 1e9, *available as f64 / 1e9)]
    TooLarge { what: String, needed: u64, available: u64 },
    /// A phase trains parameters whose numbers are in blocks.
    #[error(
        "phase {phase} trains the language model, whose numbers in blocks cannot change: omit --weights, or train adapters (`trained`)"
    )]
    TrainsBlocks { phase: String },
    /// Blocks without a base.
    #[error(
        "--weights is the format of a base's language model, and this recipe starts without one"
    )]
    BlocksWithoutBase,
    /// A tokenizer is to be trained, and no phase has texts.
    #[error("the recipe trains a tokenizer, and none of its phases has points with texts")]
    NoTexts,
    /// The base cannot be evaluated.
    #[error(transparent)]
    Evaluation(#[from] EvaluationError),
    /// A data set cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Scenes cannot be generated.
    #[error(transparent)]
    Scenes(#[from] SceneError),
    /// An invalid image size.
    #[error(transparent)]
    Size(#[from] PointError),
    /// The tokenizer cannot be trained or loaded.
    #[error(transparent)]
    Language(#[from] LanguageError),
    /// A model folder cannot be read or written.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Weights cannot be loaded.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The backbone does not fit the configuration.
    #[error(transparent)]
    Vision(#[from] VisionError),
    /// The table of nouns is invalid.
    #[error("the table of nouns is invalid: {problem}")]
    Nouns { problem: String },
    /// Training cannot start from the checkpoint.
    #[error("cannot start from {}: {problem}", path.display())]
    Checkpoint { path: PathBuf, problem: String },
    /// The vision model has another shape than the one to train.
    #[error("the vision model of {} has a different shape from the tiny model's", path.display())]
    VisionShape { path: PathBuf },
    /// A phase failed.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// Training was stopped on request; all progress is on disk.
    #[error("stopped {place}: run again with --resume to continue")]
    Stopped { place: String },
}
