//! A model whose language model is in blocks of few bits.

use burn::tensor::Device;
use tp_language::{BlockReader, LoraConfig, QuantizedFormat};
use tp_weights::{Checkpoint, LoadReport, TensorFloat};

use super::{
    ModelDir, ModelError,
    base::is_added,
    files::{ADAPTER, weights_of},
};
use crate::{Network, network_keys};

/// What stands before the parameters of the language model.
const DECODER: &str = "decoder.";

impl ModelDir {
    /// Fills a network whose language model has its matrices and its token table in blocks, brought
    /// into them as they are read. For inference, the large matrices of the vision model stay in half
    /// precision if they are stored so, which changes no number: products widen them. Everything else
    /// is in f32.
    ///
    /// The update of a published base's `adapter/` is added to the matrices before they are rounded.
    pub(super) fn load_in_blocks(
        &self,
        mut network: Network,
        format: QuantizedFormat,
        to_train: bool,
        device: &Device,
    ) -> Result<(Network, LoadReport), ModelError> {
        let checkpoint = Checkpoint::open(weights_of(&self.path))?;
        let keys = network_keys();
        let mut blocks = BlockReader::new(&checkpoint, &keys, DECODER, format, device);
        let is_base = !checkpoint.entries().any(|entry| {
            keys.ours(&entry.name).map_or_else(|| is_added(&entry.name), |ours| is_added(&ours))
        });
        let path = self.path.join(ADAPTER);
        let of_adapter = |source| ModelError::Adapter { path: path.clone(), source };
        if is_base && path.exists() {
            blocks = blocks.with_adapter(&path, &network.decoder).map_err(of_adapter)?;
        }
        blocks.read(&mut network.decoder)?;
        let report = blocks.load_rest(&mut network, |path, stored| {
            if is_wide(path) && !to_train {
                TensorFloat::of_stored(stored)
            } else {
                TensorFloat::F32
            }
        });
        blocks.finish(&mut network.decoder).map_err(of_adapter)?;
        Ok((network, report))
    }
}

/// Whether a parameter is one of the vision model's large matrices: nine tenths of ConvNeXt and of
/// the projection into the language model, all of them multiplied by
/// [`affine`](tp_kernels::affine).
fn is_wide(path: &str) -> bool {
    let in_backbone = path.starts_with("eyes.encoder.backbone.stages.")
        && [".fc1.weight", ".fc2.weight"].iter().any(|name| path.ends_with(name));
    in_backbone || (path.starts_with("eyes.projector.") && path.ends_with(".weight"))
}

/// A base for inference: without the adapters that are fresh in it. They change nothing, and would
/// take memory and two products a layer.
pub(super) fn without_fresh_adapters(mut network: Network, device: &Device) -> Network {
    let none = || {
        let nothing = LoraConfig::new(1, 1.0).with_targets(Vec::new());
        nothing.init(network.decoder.config(), device)
    };
    (network.descriptor.adapter, network.localizer.adapter) = (none(), none());
    network
}
