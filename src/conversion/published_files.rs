//! The tensors of published files, under one spelling.

use std::{
    collections::BTreeMap,
    io::Write,
    path::{Path, PathBuf},
};

use burn::tensor::{DType, Device, TensorData};
use serde::Serialize;
use tp_core::write_atomically;
use tp_vision::folded_efficientnet_lite;
use tp_weights::{
    Checkpoint, TensorEntry, TensorFloat, WeightsError, parameter_shapes, write_safetensors,
    write_safetensors_file,
};

use super::{ConversionOptions, adapter_config::AdapterConfig};
use crate::{
    NetworkConfig,
    model_dir::is_added,
    published::{PublishedName, network_keys, published_name},
};

/// Where an adapter's weights and its configuration go, within the folder of a model.
const ADAPTER_WEIGHTS: &str = "adapter/adapter_model.safetensors";
const ADAPTER_CONFIG: &str = "adapter/adapter_config.json";

/// What was converted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Conversion {
    /// Tensors that were written.
    pub tensors: usize,
    /// Bytes of all of them.
    pub bytes: u64,
    /// Tensors among them that belong to an adapter and stand in `adapter/`.
    pub adapter_tensors: usize,
    /// The rank of that adapter.
    pub adapter_rank: Option<usize>,
    /// Tensors of earlier files that a later file had, too: the later one counts.
    pub overridden: Vec<String>,
    /// Tensors that were kept under their names, although no part of the network is called so.
    pub unknown: Vec<String>,
}

/// The tensors of several files, gathered under one spelling; their numbers are read when they are
/// written.
#[derive(Clone, Debug)]
pub struct PublishedFiles {
    pub(super) checkpoints: Vec<Checkpoint>,
    base: BTreeMap<String, Origin>,
    pub(super) adapter: BTreeMap<String, Origin>,
    overridden: Vec<String>,
}

/// Where a tensor's numbers are.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    /// The place among the checkpoints.
    pub(super) checkpoint: usize,
    pub(super) entry: TensorEntry,
}

impl PublishedFiles {
    /// Gathers the tensors of all `sources` under the spelling of [`published_name`]; of one name
    /// the last source's tensor counts. Batch norms of an EfficientNet-Lite are folded into its
    /// convolutions, whose tensors are in single precision then, whatever they were.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] if a source is missing or unsound.
    pub fn open(sources: &[PathBuf]) -> Result<Self, WeightsError> {
        let checkpoints = sources
            .iter()
            .map(|source| folded_efficientnet_lite(Checkpoint::open(source)?))
            .collect::<Result<Vec<_>, _>>()?;
        let (mut base, mut adapter, mut overridden) =
            (BTreeMap::new(), BTreeMap::new(), Vec::new());
        for (checkpoint, opened) in checkpoints.iter().enumerate() {
            for entry in opened.entries() {
                let origin = Origin { checkpoint, entry: entry.clone() };
                let (name, replaced) = match published_name(&entry.name) {
                    PublishedName::Base(name) => (name.clone(), base.insert(name, origin)),
                    PublishedName::Adapter(name) => (name.clone(), adapter.insert(name, origin)),
                };
                if replaced.is_some() {
                    overridden.push(name);
                }
            }
        }
        Ok(Self { checkpoints, base, adapter, overridden })
    }

    /// What a network of this shape still lacks to be a published base, by its published names:
    /// tensors that no file has, and tensors of another shape, with both shapes.
    #[must_use]
    pub fn lacking(&self, config: &NetworkConfig) -> Vec<String> {
        let keys = network_keys();
        let found: BTreeMap<String, (&String, &Vec<usize>)> = self
            .base
            .iter()
            .map(|(name, origin)| {
                let path = keys.ours(name).unwrap_or_else(|| name.clone());
                (path, (name, &origin.entry.shape))
            })
            .collect();
        // No parameter is allocated: shapes are all that is asked for.
        let wanted = parameter_shapes(&config.init(&Device::flex()));
        wanted
            .into_iter()
            .filter(|(path, _)| !is_added(path))
            .filter_map(|(path, parameter)| match found.get(&path) {
                None => Some(keys.published(&path).unwrap_or(path)),
                Some((_, shape)) if **shape == parameter.shape => None,
                Some((name, shape)) => {
                    Some(format!("{name} (of shape {:?}, not {shape:?})", parameter.shape))
                }
            })
            .collect()
    }

    /// Writes everything into `out`, no more than one tensor in memory at a time.
    ///
    /// The tensors of an adapter become a folder `adapter/` as PEFT keeps it, whose configuration
    /// has the rank and the layers of the tensors themselves.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] if an adapter has not one rank, a source is unsound, or a file cannot be
    /// written.
    pub fn write(
        &self,
        out: &Path,
        options: ConversionOptions,
    ) -> Result<Conversion, WeightsError> {
        let Self { base, adapter, overridden, .. } = self;
        let keys = network_keys();
        let adapter_config = (!adapter.is_empty())
            .then(|| AdapterConfig::of(self, options.lora_alpha))
            .transpose()?;
        let mut conversion = Conversion {
            tensors: base.len() + adapter.len(),
            bytes: 0,
            adapter_tensors: adapter.len(),
            adapter_rank: adapter_config.as_ref().map(|config| config.r),
            overridden: overridden.clone(),
            unknown: base.keys().filter(|name| keys.ours(name).is_none()).cloned().collect(),
        };
        let entries = entries_of(base, options);
        conversion.bytes += write_safetensors(out, &entries, options.max_shard_bytes, |target| {
            self.bytes_of(&base[&target.name], target.dtype)
        })?;
        if let Some(config) = adapter_config {
            let path = out.join(ADAPTER_WEIGHTS);
            let entries = entries_of(adapter, options);
            conversion.bytes += write_safetensors_file(&path, &entries, |target| {
                self.bytes_of(&adapter[&target.name], target.dtype)
            })?;
            let path = out.join(ADAPTER_CONFIG);
            let text = serde_json::to_string_pretty(&config)
                .expect("a struct of numbers and strings has a JSON form");
            write_atomically(&path, |file| writeln!(file, "{text}"))
                .map_err(|source| WeightsError::Write { path, source })?;
        }
        Ok(conversion)
    }

    /// The bytes of one tensor in this number format.
    fn bytes_of(&self, origin: &Origin, dtype: DType) -> Result<Vec<u8>, WeightsError> {
        let Origin { checkpoint, entry } = origin;
        let bytes = self.checkpoints[*checkpoint].read(&entry.name)?;
        if dtype == entry.dtype {
            return Ok(bytes);
        }
        let data = TensorData::from_bytes_vec(bytes, entry.shape.clone(), entry.dtype)
            .convert_dtype(dtype);
        Ok(data.as_bytes().to_vec())
    }
}

fn entries_of(tensors: &BTreeMap<String, Origin>, options: ConversionOptions) -> Vec<TensorEntry> {
    let dtype_of =
        |dtype: DType| options.float.filter(|_| dtype.is_float()).map_or(dtype, TensorFloat::dtype);
    tensors
        .iter()
        .map(|(name, Origin { entry, .. })| TensorEntry {
            name: name.clone(),
            dtype: dtype_of(entry.dtype),
            shape: entry.shape.clone(),
        })
        .collect()
}
