//! The weights of a model folder, and both models from them.

use std::{
    fs::File,
    io::{self, BufReader},
    path::Path,
    sync::Arc,
};

use burn::tensor::Device;
use sha2::{Digest, Sha256};
use tp_descriptor::{MaskRule, Wording};
use tp_language::{MemoryPlan, QuantizedFormat};
use tp_localizer::LocalizerHead;
use tp_weights::{Checkpoint, LoadReport, TensorFloat, load_module};

use super::{
    ModelDir, ModelError, Models, RunInfo, base::lacks_what_is_added, files::weights_of,
    in_blocks::without_fresh_adapters,
};
use crate::{Network, device::name_of, network_keys};

/// Bytes of a file that are hashed together.
const HASHED_TOGETHER: usize = 256 * 1024;

/// How the weights of a model folder are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// The format of the language model's matrices and token table: blocks of eight or four bits
    /// take about a quarter or an eighth of the memory, with slightly different results, and of such
    /// a model only adapters and heads can be trained. Without one they are in single precision, as
    /// everything else always is.
    pub blocks: Option<QuantizedFormat>,
    /// Whether the model is to be trained: beside blocks, everything is in single precision then, and
    /// a published base gets fresh adapters, which inference leaves out.
    pub to_train: bool,
}

impl ModelDir {
    /// Loads tokenizer and weights, in single precision.
    ///
    /// # Errors
    ///
    /// As [`load_with`](Self::load_with).
    pub fn load(&self, device: &Device) -> Result<Models, ModelError> {
        self.load_with(device, LoadOptions::default())
    }

    /// Loads tokenizer and weights.
    ///
    /// Tensors are read one at a time: beside the network there is one of them in memory.
    ///
    /// A folder without anything that Talking Points adds is a published base: it answers as it
    /// was published, in its own words ([`Wording::BaseMark`]) and through its own masks
    /// ([`LocalizerHead::Mask`], [`MaskRule::Object`]).
    ///
    /// # Errors
    ///
    /// [`ModelError`] if a file is missing, unsound, or does not fit the configuration; every
    /// tensor that is missing, unused or of the wrong shape is named at once. Also if the language
    /// model needs more memory than is available, or blocks are asked for on another device than the
    /// CPU, which alone multiplies them as they are.
    pub fn load_with(&self, device: &Device, how: LoadOptions) -> Result<Models, ModelError> {
        if how.blocks.is_some() && device.clone().without_autodiff() != Device::flex() {
            return Err(ModelError::BlocksElsewhere { device: name_of(device) });
        }
        let tokenizer = self.tokenizer()?;
        let nouns = self.config.namer.as_ref().map(|namer| self.nouns(namer)).transpose()?;
        let language = &self.config.language;
        let plan = match how.blocks {
            None => MemoryPlan::of(language, TensorFloat::F32),
            Some(format) => MemoryPlan::in_blocks(language, format),
        };
        plan.check(&self.path)?;
        let network = self.config.init(device);
        let (model, loaded) = rayon::join(
            || fingerprint(&weights_of(&self.path)),
            || match how.blocks {
                None => load_weights(network, &self.path),
                Some(format) => self.load_in_blocks(network, format, how.to_train, device),
            },
        );
        let run = RunInfo::on(device, model?).with_blocks(how.blocks);
        let (network, report) = loaded?;
        let (mut config, tokenizer) = (self.config.clone(), Arc::new(tokenizer));
        if lacks_what_is_added(&network, &report) {
            let network = self.completed_base(network, report)?;
            let network = match how.blocks {
                None => self.with_adapter_merged(network, device)?,
                // Its matrices got their updates before they were rounded.
                Some(_) if how.to_train => network,
                Some(_) => without_fresh_adapters(network, device),
            };
            config.descriptor.mask.rule = MaskRule::Object;
            config.localizer.head = LocalizerHead::Mask;
            config.localizer.closer_look = None;
            let mut models = Models::new(network, config, tokenizer, None, run);
            models.descriptor = models.descriptor.with_wording(Wording::BaseMark);
            return Ok(models);
        }
        if !report.is_complete() {
            return Err(mismatch(&self.path, report));
        }
        Ok(Models::new(network, config, tokenizer, nouns.map(Arc::new), run))
    }

    /// The network with every tensor of the folder that has a place and the same shape in it; the
    /// others are left alone.
    ///
    /// # Errors
    ///
    /// [`ModelError`] if the weights are missing or unsound.
    pub(crate) fn fill(&self, network: Network) -> Result<Network, ModelError> {
        let (network, report) = load_weights(network, &self.path)?;
        let (n_missing, n_others) =
            (report.missing.len(), report.unused.len() + report.unusable.len());
        tracing::info!(
            "{n_missing} tensors keep their values, {n_others} of {} have no place",
            self.path.display()
        );
        Ok(network)
    }
}

/// Fills a network in f32, tensor by tensor, under our names or published ones.
pub(super) fn load_weights(
    mut network: Network,
    folder: &Path,
) -> Result<(Network, LoadReport), ModelError> {
    let checkpoint = Checkpoint::open(weights_of(folder))?;
    let report = load_module(&mut network, &checkpoint, &network_keys(), TensorFloat::F32);
    Ok((network, report))
}

pub(super) fn mismatch(folder: &Path, report: LoadReport) -> ModelError {
    let LoadReport { missing, unused, unusable, .. } = report;
    ModelError::Mismatch { path: weights_of(folder), missing, unused, unusable }
}

/// SHA-256 of a file, its first 16 digits.
fn fingerprint(file: &Path) -> Result<String, ModelError> {
    let read = |source| ModelError::Read { path: file.to_owned(), source };
    let mut file = BufReader::with_capacity(HASHED_TOGETHER, File::open(file).map_err(read)?);
    let mut hash = Sha256::new();
    io::copy(&mut file, &mut hash).map_err(read)?;
    Ok(hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}
