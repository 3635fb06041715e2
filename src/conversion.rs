//! Weight files of many kinds → one folder of safetensors, tensor by tensor.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use burn::tensor::{DType, TensorData};
use serde::Serialize;
use tp_vision::folded_efficientnet_lite;
use tp_weights::{
    Checkpoint, TensorEntry, TensorFloat, WeightsError, write_safetensors, write_safetensors_file,
};

use crate::published::{PublishedName, network_keys, published_name};

/// How weights are converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConversionOptions {
    /// The number format of floats; `None` keeps each tensor's own, bit for bit where nothing is
    /// folded.
    pub float: Option<TensorFloat>,
    /// A file that would grow beyond this is split into shards.
    pub max_shard_bytes: u64,
}

/// What was converted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Conversion {
    /// Tensors that were written.
    pub tensors: usize,
    /// Bytes of all of them.
    pub bytes: u64,
    /// Tensors among them that belong to an adapter and stand in `adapter/`.
    pub adapter_tensors: usize,
    /// Tensors of earlier files that a later file had, too: the later one counts.
    pub overridden: Vec<String>,
    /// Tensors that were kept under their names, although no part of the network is called so.
    pub unknown: Vec<String>,
}

/// Where a tensor's numbers are.
struct Origin<'a> {
    checkpoint: &'a Checkpoint,
    entry: &'a TensorEntry,
}

/// Writes the tensors of all `sources` into `out`, under the spelling of [`published_name`]; of one
/// name the last source's tensor counts. Batch norms of an EfficientNet-Lite are folded into its
/// convolutions, whose tensors are in single precision then, whatever they were. No more than one
/// tensor is in memory at a time.
///
/// # Errors
///
/// [`WeightsError`] if a source is missing or unsound, or a file cannot be written.
pub fn convert_weights(
    sources: &[PathBuf],
    out: &Path,
    options: ConversionOptions,
) -> Result<Conversion, WeightsError> {
    let checkpoints = sources
        .iter()
        .map(|source| folded_efficientnet_lite(Checkpoint::open(source)?))
        .collect::<Result<Vec<_>, _>>()?;
    let keys = network_keys();
    let mut conversion = Conversion::default();
    let (mut base, mut adapter) = (BTreeMap::new(), BTreeMap::new());
    for checkpoint in &checkpoints {
        for entry in checkpoint.entries() {
            let origin = Origin { checkpoint, entry };
            let (name, replaced) = match published_name(&entry.name) {
                PublishedName::Base(name) => (name.clone(), base.insert(name, origin)),
                PublishedName::Adapter(name) => (name.clone(), adapter.insert(name, origin)),
            };
            if replaced.is_some() {
                conversion.overridden.push(name);
            }
        }
    }
    conversion.unknown = base.keys().filter(|name| keys.ours(name).is_none()).cloned().collect();
    conversion.adapter_tensors = adapter.len();
    conversion.tensors = base.len() + adapter.len();
    let entries = entries_of(&base, options);
    conversion.bytes = write_safetensors(out, &entries, options.max_shard_bytes, |target| {
        bytes_of(&base, target)
    })?;
    if !adapter.is_empty() {
        let entries = entries_of(&adapter, options);
        let path = out.join("adapter/adapter_model.safetensors");
        conversion.bytes +=
            write_safetensors_file(&path, &entries, |target| bytes_of(&adapter, target))?;
    }
    Ok(conversion)
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

fn bytes_of(
    tensors: &BTreeMap<String, Origin>,
    target: &TensorEntry,
) -> Result<Vec<u8>, WeightsError> {
    let Origin { checkpoint, entry } = &tensors[&target.name];
    let bytes = checkpoint.read(&entry.name)?;
    if target.dtype == entry.dtype {
        return Ok(bytes);
    }
    let data = TensorData::from_bytes_vec(bytes, entry.shape.clone(), entry.dtype)
        .convert_dtype(target.dtype);
    Ok(data.as_bytes().to_vec())
}
