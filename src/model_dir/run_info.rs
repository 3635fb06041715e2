//! On what a result was computed.

use burn::tensor::Device;
use serde::Serialize;
use tp_language::QuantizedFormat;

use crate::device::name_of;

/// On what a result was computed: it stands beside every result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RunInfo {
    /// The device's name.
    pub device: String,
    /// The number format of the arithmetic, and that of the language model's matrices if it is another.
    pub dtype: String,
    /// Worker threads.
    pub threads: usize,
    /// SHA-256 of the weights, its first 16 digits.
    pub model: String,
}

impl RunInfo {
    /// On this device, in single precision, on all worker threads; `model` is the fingerprint of
    /// the weights.
    #[must_use]
    pub fn on(device: &Device, model: String) -> Self {
        Self {
            device: name_of(device),
            dtype: "f32".into(),
            threads: rayon::current_num_threads(),
            model,
        }
    }

    /// The same with the language model's matrices in blocks of this format.
    #[must_use]
    pub fn with_blocks(mut self, format: Option<QuantizedFormat>) -> Self {
        if let Some(format) = format {
            self.dtype = format!("f32, language model in {format}");
        }
        self
    }
}
