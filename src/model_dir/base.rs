//! A published base: a model folder without what Talking Points adds.

use burn::tensor::Device;
use tp_language::load_adapter;
use tp_weights::{LoadReport, parameter_shapes};

use super::{
    ModelDir, ModelError,
    files::ADAPTER,
    loading::{load_weights, mismatch},
};
use crate::Network;

/// What Talking Points adds to its base.
const ADDED: [&str; 4] =
    ["descriptor.adapter.", "localizer.adapter.", "localizer.regression.", "localizer.heatmap."];

impl ModelDir {
    /// Loads a published base, as [`talking-points convert`](crate::convert_weights) gathers it, to
    /// be trained: vision model, language model (with the update of `adapter/`, if there is one),
    /// point prompt and projections. What Talking Points adds to it (both adapters and both heads)
    /// is fresh.
    ///
    /// # Errors
    ///
    /// [`ModelError`] if a file is missing or unsound, or a tensor of the base is missing or of the
    /// wrong shape. Tensors that no part of the network is called by are left alone, and logged.
    pub fn load_base(&self, device: &Device) -> Result<Network, ModelError> {
        let (network, report) = load_weights(self.config.init(device), &self.path)?;
        self.with_adapter_merged(self.completed_base(network, report)?, device)
    }

    /// A base whose weights have been read, if they are complete.
    pub(super) fn completed_base(
        &self,
        network: Network,
        mut report: LoadReport,
    ) -> Result<Network, ModelError> {
        report.missing.retain(|name| !is_added(name));
        if !report.missing.is_empty() || !report.unusable.is_empty() {
            return Err(mismatch(&self.path, report));
        }
        if !report.unused.is_empty() {
            tracing::warn!(
                "{} tensors have no place in the network: {}{}",
                report.unused.len(),
                report.unused[..report.unused.len().min(3)].join(", "),
                if report.unused.len() > 3 { ", …" } else { "" }
            );
        }
        Ok(network)
    }

    /// A base with the update of its `adapter/`, if there is one, in its matrices.
    pub(super) fn with_adapter_merged(
        &self,
        mut network: Network,
        device: &Device,
    ) -> Result<Network, ModelError> {
        let path = self.path.join(ADAPTER);
        if path.exists() {
            let adapter = load_adapter(&path, &self.config.language, device)
                .map_err(|source| ModelError::Adapter { path, source })?;
            network.decoder = network.decoder.into_merged(&adapter);
        }
        Ok(network)
    }
}

/// Whether a parameter is one that Talking Points adds to its base.
pub(crate) fn is_added(name: &str) -> bool {
    ADDED.iter().any(|part| name.starts_with(part))
}

/// Whether a folder filled the base and nothing of what Talking Points adds to it.
pub(super) fn lacks_what_is_added(network: &Network, report: &LoadReport) -> bool {
    let n_added = parameter_shapes(network).keys().filter(|name| is_added(name)).count();
    report.unusable.is_empty()
        && report.missing.len() == n_added
        && report.missing.iter().all(|name| is_added(name))
}
