//! Errors of the vision model.

use std::path::PathBuf;

use tp_weights::WeightsError;

/// Why an image cannot be encoded, or the vision model cannot be loaded.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages name the fields")]
#[non_exhaustive]
pub enum VisionError {
    /// An invalid configuration.
    #[error("vision configuration: {field} is {value}, but {accepted}")]
    InvalidConfig { field: &'static str, value: String, accepted: String },
    /// An unsupported input size.
    #[error(
        "the input's side must be a multiple of {multiple} from {multiple} to {largest}, got {side}"
    )]
    InvalidSide { side: usize, multiple: usize, largest: usize },
    /// Missing or invalid weights.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Weights that do not match the backbone.
    #[error("the weights in {} do not match the backbone: {} missing, {} unusable; first {}", path.display(), missing.len(), unusable.len(), unusable.iter().chain(missing).next().map_or("none", String::as_str))]
    Backbone { path: PathBuf, missing: Vec<String>, unusable: Vec<String> },
    /// An inconsistent table of nouns.
    #[error("the table of nouns is invalid: {reason}")]
    Nouns { reason: String },
}
