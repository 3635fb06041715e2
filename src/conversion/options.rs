//! How weights are converted.

use tp_weights::TensorFloat;

/// How weights are converted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConversionOptions {
    /// The number format of floats; `None` keeps each tensor's own, bit for bit where nothing is
    /// folded.
    pub float: Option<TensorFloat>,
    /// A file that would grow beyond this is split into shards.
    pub max_shard_bytes: u64,
    /// The update of an adapter counts `lora_alpha / rank`. No published file holds this number.
    pub lora_alpha: f64,
}

impl Default for ConversionOptions {
    /// Every number as it is, in one file; the alpha of OMG-LLaVA's configuration.
    fn default() -> Self {
        Self { float: None, max_shard_bytes: u64::MAX, lora_alpha: 256.0 }
    }
}
