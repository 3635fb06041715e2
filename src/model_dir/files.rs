//! The names of the files in a model folder.

use std::path::{Path, PathBuf};

pub(super) const CONFIG: &str = "config.json";
pub(super) const TOKENIZER: &str = "tokenizer.json";
pub(super) const WEIGHTS: &str = "model.safetensors";
/// Beside the three where the model names points.
pub(super) const NOUNS: &str = "nouns.json";
/// Beside weights in many files.
pub(super) const INDEX: &str = "model.safetensors.index.json";
/// Where a published base keeps what it was tuned by.
pub(super) const ADAPTER: &str = "adapter";

/// The one file of weights, or the index of many.
pub(super) fn weights_of(folder: &Path) -> PathBuf {
    let index = folder.join(INDEX);
    if index.exists() { index } else { folder.join(WEIGHTS) }
}
