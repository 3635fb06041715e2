//! On what a result was computed.

use burn::tensor::Device;
use serde::Serialize;

use crate::device::name_of;

/// On what a result was computed: it stands beside every result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RunInfo {
    /// The device's name.
    pub device: String,
    /// The number format of the arithmetic.
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
}
