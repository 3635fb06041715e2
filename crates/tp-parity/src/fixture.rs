//! A folder of weights, inputs and expected outputs, as the scripts under `tests/oracles/` write
//! it.

use std::{
    collections::HashMap,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use tp_core::{IS_LFS_POINTER, is_lfs_pointer};
use tp_weights::{Checkpoint, WeightsError};

use crate::ParityError;

/// A configuration is a page of text; more is not one.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// Stands for a side of any length where a shape is expected.
pub(crate) const ANY: usize = usize::MAX;

/// How far a number may be from its peer's: `atol + rtol · |expected|`.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Bound {
    pub(crate) atol: f64,
    pub(crate) rtol: f64,
}

impl Default for Bound {
    fn default() -> Self {
        Self { atol: 1e-4, rtol: 1e-4 }
    }
}

/// Numbers on the host, row-major.
#[derive(Debug)]
pub(crate) struct Numbers<const D: usize> {
    pub(crate) values: Vec<f64>,
    pub(crate) shape: [usize; D],
}

/// One opened folder.
#[derive(Debug)]
pub(crate) struct Fixture {
    folder: PathBuf,
    config: Value,
    inputs: Checkpoint,
    expected: Checkpoint,
    bounds: HashMap<String, Bound>,
}

impl Fixture {
    /// Opens a folder; its weights are read when asked for.
    pub(crate) fn open(folder: &Path) -> Result<Self, ParityError> {
        let bounds = folder.join("tolerance.json");
        Ok(Self {
            folder: folder.to_owned(),
            config: read_json(&folder.join("config.json"))?,
            inputs: Checkpoint::open(folder.join("inputs.safetensors"))?,
            expected: Checkpoint::open(folder.join("expected.safetensors"))?,
            bounds: if bounds.exists() { read_json(&bounds)? } else { HashMap::new() },
        })
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The whole configuration.
    pub(crate) fn config(&self) -> &Value {
        &self.config
    }

    /// One setting of the configuration.
    pub(crate) fn setting<T: DeserializeOwned>(&self, key: &str) -> Result<T, ParityError> {
        let value = self.config.get(key).cloned().unwrap_or(Value::Null);
        T::deserialize(value).map_err(|error| self.unusable(&format!("`{key}`: {error}")))
    }

    /// The id of a placeholder among the inputs; `ids.json` lists them.
    pub(crate) fn named_id(&self, name: &str) -> Result<i64, ParityError> {
        let path = self.folder.join("ids.json");
        let ids: HashMap<String, Value> = read_json(&path)?;
        ids.get(name)
            .and_then(Value::as_i64)
            .ok_or_else(|| ParityError::Config { path, reason: format!("`{name}` is no id") })
    }

    /// The weights under their published names.
    pub(crate) fn weights(&self) -> Result<Checkpoint, WeightsError> {
        Checkpoint::open(self.folder.join("weights.safetensors"))
    }

    /// Whether there is such an input.
    pub(crate) fn has_input(&self, name: &str) -> bool {
        self.inputs.contains(name)
    }

    /// The names of the expected tensors.
    pub(crate) fn expected_names(&self) -> impl Iterator<Item = &str> {
        self.expected.entries().map(|entry| entry.name.as_str())
    }

    /// An expected tensor.
    pub(crate) fn expected(&self, name: &str) -> Result<TensorData, ParityError> {
        data(&self.expected, name)
    }

    /// How far numbers of this name may be from those expected.
    pub(crate) fn bound(&self, name: &str) -> Bound {
        self.bounds.get(name).copied().unwrap_or_default()
    }

    /// An input in single precision, of the shape given, [`ANY`] where a side may have any length.
    pub(crate) fn input<const D: usize>(
        &self,
        name: &str,
        shape: [usize; D],
        device: &Device,
    ) -> Result<Tensor<D>, ParityError> {
        let data = self.input_of_shape(name, &shape)?.convert::<f32>();
        Ok(Tensor::from_data(data, device))
    }

    /// An input in double precision, of the shape given, [`ANY`] where a side may have any length.
    pub(crate) fn numbers<const D: usize>(
        &self,
        name: &str,
        shape: [usize; D],
    ) -> Result<Numbers<D>, ParityError> {
        let data = self.input_of_shape(name, &shape)?;
        let mut found = shape;
        found.copy_from_slice(data.shape().as_slice());
        Ok(Numbers { values: data.iter::<f64>().collect(), shape: found })
    }

    /// A feature map, `[batch, channels, height, width]` in the file, channels last here.
    pub(crate) fn map(
        &self,
        name: &str,
        channels: usize,
        device: &Device,
    ) -> Result<Tensor<4>, ParityError> {
        Ok(self.input(name, [ANY, channels, ANY, ANY], device)?.permute([0, 2, 3, 1]))
    }

    /// Whole numbers of an input, row-major.
    pub(crate) fn integers(&self, name: &str, shape: &[usize]) -> Result<Vec<i64>, ParityError> {
        let data = self.input_of_shape(name, shape)?;
        Ok(data.iter::<i64>().collect())
    }

    /// The shape of an input.
    pub(crate) fn input_shape(&self, name: &str) -> Result<Vec<usize>, ParityError> {
        Ok(self.inputs.entry(name)?.shape.clone())
    }

    fn input_of_shape(&self, name: &str, shape: &[usize]) -> Result<TensorData, ParityError> {
        let found = self.input_shape(name)?;
        let fits = found.len() == shape.len()
            && found
                .iter()
                .zip(shape)
                .all(|(&found, &wanted)| found > 0 && (wanted == ANY || found == wanted));
        if !fits {
            let wanted: Vec<String> = shape
                .iter()
                .map(|&side| if side == ANY { "any".to_owned() } else { side.to_string() })
                .collect();
            return Err(self.unusable(&format!(
                "the input {name} has the shape {found:?}, and must have [{}]",
                wanted.join(", ")
            )));
        }
        data(&self.inputs, name)
    }

    /// The folder cannot be used, for this reason.
    pub(crate) fn unusable(&self, reason: &str) -> ParityError {
        ParityError::Unusable { folder: self.folder.clone(), reason: reason.to_owned() }
    }
}

fn data(checkpoint: &Checkpoint, name: &str) -> Result<TensorData, ParityError> {
    let entry = checkpoint.entry(name)?;
    Ok(TensorData::from_bytes_vec(checkpoint.read(name)?, entry.shape.clone(), entry.dtype))
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, ParityError> {
    let failed = |reason: String| ParityError::Config { path: path.to_owned(), reason };
    let mut text = String::new();
    let file = File::open(path).map_err(|error| failed(error.to_string()))?;
    file.take(MAX_CONFIG_BYTES)
        .read_to_string(&mut text)
        .map_err(|error| failed(error.to_string()))?;
    if is_lfs_pointer(text.as_bytes()) {
        return Err(failed(format!("it {IS_LFS_POINTER}")));
    }
    serde_json::from_str(&text).map_err(|error| failed(error.to_string()))
}
