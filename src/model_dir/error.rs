//! Why a model folder cannot be used.

use std::{io, path::PathBuf};

use tp_core::IS_LFS_POINTER;
use tp_weights::WeightsError;

use super::{
    files::{CONFIG, TOKENIZER, WEIGHTS},
    reading::MAX_CONFIG_BYTES,
};

/// Why a model folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages name the fields")]
#[non_exhaustive]
pub enum ModelError {
    /// A file that is missing or cannot be read.
    #[error("cannot read {}: a model folder holds {CONFIG}, {TOKENIZER} and {WEIGHTS}", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// A file that cannot be written.
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: io::Error },
    /// A configuration that is too large to be one.
    #[error("{} has {bytes} bytes, a configuration has at most {MAX_CONFIG_BYTES}", path.display())]
    ConfigTooLarge { path: PathBuf, bytes: u64 },
    /// A configuration that is not what this version writes.
    #[error("{} is not a model configuration", path.display())]
    Config { path: PathBuf, source: serde_json::Error },
    /// A configuration that describes no network.
    #[error("{} describes no network", path.display())]
    Shape { path: PathBuf, source: Box<dyn std::error::Error + Send + Sync> },
    /// What Git leaves where large files were not fetched.
    #[error("{} {IS_LFS_POINTER}", path.display())]
    LfsPointer { path: PathBuf },
    /// A tokenizer that cannot be used; the cause names the file.
    #[error(transparent)]
    Tokenizer(#[from] tp_language::LanguageError),
    /// Weights that are missing or unsound.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// An adapter beside the base that cannot be used.
    #[error("cannot use the adapter {}", path.display())]
    Adapter { path: PathBuf, source: tp_language::LanguageError },
    /// Blocks on a device that would have to widen them for each product.
    #[error(
        "matrices in blocks are multiplied on the device flex alone, not on {device}: omit the format of the weights, or use flex"
    )]
    BlocksElsewhere { device: String },
    /// Weights that do not fit the configuration.
    #[error("the weights in {} do not fit {CONFIG}: {} missing, {} unused, {} unusable; {}", path.display(), missing.len(), unused.len(), unusable.len(), first_of(missing, unused, unusable))]
    Mismatch { path: PathBuf, missing: Vec<String>, unused: Vec<String>, unusable: Vec<String> },
}

/// The first few names, so that one line says enough.
fn first_of(missing: &[String], unused: &[String], unusable: &[String]) -> String {
    let few = |what: &str, names: &[String]| -> Option<String> {
        (!names.is_empty()).then(|| {
            format!(
                "{what}: {}{}",
                names[..names.len().min(3)].join(", "),
                if names.len() > 3 { ", …" } else { "" }
            )
        })
    };
    [few("missing", missing), few("unused", unused), few("unusable", unusable)]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join("; ")
}
