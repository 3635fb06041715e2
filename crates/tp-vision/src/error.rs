//! Why an image could not be looked at, or the eyes not be filled.

use std::path::PathBuf;

use tp_weights::WeightsError;

/// Why an image could not be looked at, or the eyes not be filled.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages name the fields")]
#[non_exhaustive]
pub enum VisionError {
    /// A setting that no network can have.
    #[error("vision configuration: {field} is {value}, but {accepted}")]
    InvalidConfig { field: &'static str, value: String, accepted: String },
    /// An input side that the network cannot take.
    #[error(
        "the input's side must be a multiple of {multiple} from {multiple} to {largest}, got {side}"
    )]
    InvalidSide { side: usize, multiple: usize, largest: usize },
    /// The image could not be resized.
    #[error(
        "cannot resize an image of {height} rows and {width} columns to {side}×{side}: {reason}"
    )]
    Resize { height: u32, width: u32, side: usize, reason: String },
    /// Weights that are missing or unsound.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Weights that do not fill the backbone.
    #[error("the weights in {} do not fill the backbone: {} missing, {} unusable; first {}", path.display(), missing.len(), unusable.len(), unusable.iter().chain(missing).next().map_or("none", String::as_str))]
    Backbone { path: PathBuf, missing: Vec<String>, unusable: Vec<String> },
    /// A table of nouns that contradicts itself.
    #[error("the table of nouns is unsound: {reason}")]
    Nouns { reason: String },
}
