//! Why a folder cannot be compared.

use std::path::PathBuf;

use talking_points::ModelError;
use tp_language::LanguageError;
use tp_vision::VisionError;
use tp_weights::{LoadReport, WeightsError};

/// Why a folder cannot be compared.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages name the fields")]
#[non_exhaustive]
pub enum ParityError {
    /// A JSON file that cannot be used.
    #[error("{}: {reason}", path.display())]
    Config { path: PathBuf, reason: String },
    /// No stage goes by this name.
    #[error("{}: there is no stage `{stage}`: tests/oracles/README.md lists them", folder.display())]
    UnknownStage { folder: PathBuf, stage: String },
    /// Parts that do not fit together.
    #[error("{}: {reason}", folder.display())]
    Unusable { folder: PathBuf, reason: String },
    /// Weights that do not fill the module.
    #[error("{}: the weights do not fit: {report}", folder.display())]
    Mismatch { folder: PathBuf, report: Box<LoadReport> },
    /// A file that cannot be used.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A model folder that was converted and cannot be used.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A configuration without a vision model.
    #[error(transparent)]
    Vision(#[from] VisionError),
    /// A configuration or a folder without a language model.
    #[error(transparent)]
    Language(#[from] LanguageError),
}
