//! From a checkpoint into a module, tensor by tensor, with one report of everything that does not
//! fit.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::Arc,
};

use burn::{
    store::{
        ApplyError, FloatCastAdapter, ModuleAdapter, ModuleContext, ModuleSnapshot, bridge,
        burn_pack::{Error as PackError, Tensor as PackTensor},
    },
    tensor::{Bytes, DType, Shape, TensorData},
};
use half::{f16, slice::HalfFloatSliceExt};

use crate::{Checkpoint, Claim, KeyMap, Layout, TensorEntry, claims, claims::transposed_data};

/// The number type of a loaded module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TensorFloat {
    /// Single precision: training, and every CPU.
    #[default]
    F32,
    /// Half the memory, for inference.
    F16,
    /// As `F16`, with the range of single precision.
    BF16,
}

impl TensorFloat {
    /// That of stored numbers of half precision; single precision for all others.
    #[must_use]
    pub fn of_stored(dtype: DType) -> Self {
        match dtype {
            DType::F16 => Self::F16,
            DType::BF16 => Self::BF16,
            _ => Self::F32,
        }
    }

    /// Burn's name of it.
    #[must_use]
    pub fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::F16 => DType::F16,
            Self::BF16 => DType::BF16,
        }
    }
}

/// What fitted, and everything that did not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadReport {
    /// Parameters that were filled.
    pub loaded: usize,
    /// Parameters, by our names, that the checkpoint lacks.
    pub missing: Vec<String>,
    /// Tensors, by the checkpoint's names, that no parameter took.
    pub unused: Vec<String>,
    /// Tensors of the wrong shape, or that could not be read, each with its reason.
    pub unusable: Vec<String>,
}

impl LoadReport {
    /// Whether every parameter was filled and every tensor used.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.unused.is_empty() && self.unusable.is_empty()
    }
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { loaded, missing, unused, unusable } = self;
        write!(
            f,
            "{loaded} loaded, {} missing, {} unused, {} unusable",
            missing.len(),
            unused.len(),
            unusable.len()
        )?;
        for (what, names) in [("missing", missing), ("unused", unused), ("unusable", unusable)] {
            for name in names {
                write!(f, "\n{what}: {name}")?;
            }
        }
        Ok(())
    }
}

/// Fills a module's parameters from a checkpoint, under published names or our own.
///
/// Tensors are read one after the other, so the memory needed is that of the module and one tensor.
/// Where several tensors match one parameter, none of them is used.
pub fn load_module<M: ModuleSnapshot>(
    module: &mut M,
    checkpoint: &Checkpoint,
    keys: &KeyMap,
    float: TensorFloat,
) -> LoadReport {
    load_module_as(module, checkpoint, keys, |_, _| Some(float))
}

/// As [`load_module`], in the number type that `float` chooses for each parameter, from its path
/// and the type that it is stored in. A tensor for which it chooses none is not read, and its
/// parameter is missing in the report.
pub fn load_module_as<M: ModuleSnapshot>(
    module: &mut M,
    checkpoint: &Checkpoint,
    keys: &KeyMap,
    float: impl Fn(&str, DType) -> Option<TensorFloat>,
) -> LoadReport {
    let mut report = LoadReport::default();
    let (mut tensors, mut published, mut names) = (Vec::new(), HashSet::new(), HashMap::new());
    let mut floats = HashMap::new();
    let shared = Arc::new(checkpoint.clone());
    for (path, claims) in claims(checkpoint, keys) {
        let [Claim { entry, layout }] = claims[..] else {
            let both: Vec<&str> = claims.iter().map(|claim| claim.entry.name.as_str()).collect();
            report.unusable.push(format!("{path}: claimed by {}", both.join(" and ")));
            continue;
        };
        let Some(float) = float(&path, entry.dtype) else { continue };
        floats.insert(path.clone(), float);
        names.insert(path.clone(), entry.name.clone());
        if layout == Layout::Published {
            published.insert(path.clone());
        }
        tensors.push(deferred(path, entry, shared.clone()));
    }

    let adapter =
        PublishedLayout { paths: Arc::new(published) }.chain(ChosenFloat { of: Arc::new(floats) });
    let applied = module.apply(tensors, None, Some(Box::new(adapter)), false);
    report.loaded = applied.applied.len();
    report.missing = applied.missing.into_iter().map(|(path, _)| path).collect();
    report.unused =
        applied.unused.into_iter().map(|path| names.get(&path).cloned().unwrap_or(path)).collect();
    report.unusable.extend(applied.errors.iter().map(described));
    for names in [&mut report.missing, &mut report.unused, &mut report.unusable] {
        names.sort_unstable();
    }
    // A parameter whose tensor was found but could not be used is not missing, too.
    report.missing.retain(|path| {
        !report.unusable.iter().any(|unusable| unusable.starts_with(&format!("{path}:")))
    });
    report
}

fn described(error: &ApplyError) -> String {
    match error {
        ApplyError::ShapeMismatch { path, expected, found } => {
            format!("{path}: has the shape {:?}, needs {:?}", found.as_slice(), expected.as_slice())
        }
        ApplyError::DTypeMismatch { path, expected, found } => {
            format!("{path}: has the type {found:?}, needs {expected:?}")
        }
        ApplyError::AdapterError { path, message } | ApplyError::LoadError { path, message } => {
            format!("{path}: {}", crate::error::one_line(message))
        }
    }
}

/// A tensor of the checkpoint under the path of its parameter.
fn deferred(path: String, entry: &TensorEntry, checkpoint: Arc<Checkpoint>) -> PackTensor {
    let name = entry.name.clone();
    let n_bytes = entry.n_bytes().expect("an entry of an open checkpoint has a size");
    let read = move || {
        checkpoint
            .read(&name)
            .map(Bytes::from_bytes_vec)
            .map_err(|error| PackError::ValidationError(error.to_string()))
    };
    PackTensor::deferred(path, entry.dtype, entry.shape.clone(), None, n_bytes, read)
}

/// Modules whose matrices PyTorch lays out the other way round: Burn's layer, and those of ours
/// that are alike.
pub(crate) const LAYERS: [&str; 2] = ["Struct:Linear", "Struct:Projection"];

/// Brings each tensor into the number type that was chosen for it.
#[derive(Clone, Debug)]
struct ChosenFloat {
    of: Arc<HashMap<String, TensorFloat>>,
}

impl ModuleAdapter for ChosenFloat {
    fn adapt(&self, tensor: PackTensor, context: ModuleContext<'_>) -> PackTensor {
        let float = self.of.get(&tensor.name).copied().unwrap_or_default();
        if (tensor.dtype, float) == (DType::F16, TensorFloat::F32) {
            let (name, shape) = (tensor.name.clone(), tensor.shape.clone());
            return bridge::map_data(tensor, name, DType::F32, shape, |data| widened(&data));
        }
        FloatCastAdapter::to(float.dtype()).adapt(tensor, context)
    }

    fn clone_box(&self) -> Box<dyn ModuleAdapter> {
        Box::new(self.clone())
    }
}

/// Numbers of half precision in single precision, many at a time: Burn's cast, which takes them one
/// by one, needs about three times as long.
fn widened(data: &TensorData) -> TensorData {
    let (halves, _) = data.as_bytes().as_chunks();
    let halves: Vec<f16> = halves.iter().map(|&half| f16::from_le_bytes(half)).collect();
    let mut numbers = vec![0.0; halves.len()];
    halves.convert_to_f32_slice(&mut numbers);
    TensorData::new(numbers, data.shape().clone())
}

/// Brings tensors under published names into Burn's layout, and leaves the others alone.
#[derive(Clone, Debug)]
struct PublishedLayout {
    paths: Arc<HashSet<String>>,
}

impl ModuleAdapter for PublishedLayout {
    fn adapt(&self, tensor: PackTensor, context: ModuleContext<'_>) -> PackTensor {
        let is_matrix_of_layer = context.module_type().is_some_and(|name| LAYERS.contains(&name))
            && tensor.shape.num_dims() == 2;
        if !is_matrix_of_layer || !self.paths.contains(&tensor.name) {
            return tensor;
        }
        let (name, dtype) = (tensor.name.clone(), tensor.dtype);
        let shape = Shape::from([tensor.shape[1], tensor.shape[0]]);
        bridge::map_data(tensor, name, dtype, shape, |data| transposed_data(&data))
    }

    fn clone_box(&self) -> Box<dyn ModuleAdapter> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use burn::{
        module::Module,
        nn::{Linear, LinearConfig, RmsNorm, RmsNormConfig},
        tensor::Device,
    };

    use super::*;
    use crate::write_safetensors;

    #[derive(Module, Debug)]
    struct Block {
        norm: RmsNorm,
        layer: Linear,
    }

    fn block() -> Block {
        let device = Device::flex();
        Block {
            norm: RmsNormConfig::new(2).init(&device),
            layer: LinearConfig::new(2, 3).init(&device),
        }
    }

    fn keys() -> KeyMap {
        KeyMap::new(&[("model.ln.weight", "norm.gamma"), ("model.fc", "layer")])
    }

    fn saved(tensors: &[(&str, &[usize], &[f32])]) -> (tempfile::TempDir, Checkpoint) {
        let folder = tempfile::tempdir().unwrap();
        let entries: Vec<_> = tensors
            .iter()
            .map(|(name, shape, _)| TensorEntry {
                name: (*name).into(),
                dtype: DType::F32,
                shape: shape.to_vec(),
            })
            .collect();
        let bytes = |entry: &TensorEntry| {
            let (.., values) = tensors.iter().find(|(name, ..)| *name == entry.name).unwrap();
            Ok(values.iter().flat_map(|value| value.to_le_bytes()).collect())
        };
        write_safetensors(folder.path(), &entries, u64::MAX, bytes).unwrap();
        let checkpoint = Checkpoint::open(folder.path()).unwrap();
        (folder, checkpoint)
    }

    #[test]
    fn published_matrices_are_transposed_and_ours_are_not() {
        let matrix = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        for (name, shape, expected) in [
            ("model.fc.weight", [3, 2], [1.0, 3.0, 5.0, 2.0, 4.0, 6.0]),
            ("layer.weight", [2, 3], matrix),
        ] {
            let (_folder, checkpoint) = saved(&[
                ("model.ln.weight", &[2], &[7.0, 8.0]),
                (name, &shape, &matrix),
                ("model.fc.bias", &[3], &[0.0; 3]),
            ]);
            let mut block = block();
            let report = load_module(&mut block, &checkpoint, &keys(), TensorFloat::F32);
            assert!(report.is_complete(), "{report}");
            assert_eq!(
                block.layer.weight.val().into_data().iter::<f32>().collect::<Vec<_>>(),
                expected
            );
            assert_eq!(
                block.norm.gamma.val().into_data().iter::<f32>().collect::<Vec<_>>(),
                [7.0, 8.0]
            );
        }
    }

    #[test]
    fn everything_that_does_not_fit_is_reported_at_once() {
        let (_folder, checkpoint) = saved(&[
            ("model.fc.weight", &[2, 2], &[0.0; 4]),
            ("model.fc.bias", &[3], &[0.0; 3]),
            ("layer.bias", &[3], &[0.0; 3]),
            ("head", &[1], &[0.0]),
        ]);
        let report = load_module(&mut block(), &checkpoint, &keys(), TensorFloat::F32);
        assert_eq!(report.missing, ["norm.gamma"]);
        assert_eq!(report.unused, ["head"]);
        assert_eq!(report.unusable.len(), 2, "{report}");
        assert!(report.unusable[0].starts_with("layer.bias: claimed by"), "{report}");
        assert!(report.unusable[1].starts_with("layer.weight: has the shape [2, 2]"), "{report}");
    }

    #[test]
    fn numbers_come_in_the_type_that_is_asked_for() {
        let (_folder, checkpoint) = saved(&[("norm.gamma", &[2], &[1.5, 2.5])]);
        let mut norm = block();
        let _ = load_module(&mut norm, &checkpoint, &keys(), TensorFloat::BF16);
        assert_eq!(norm.norm.gamma.val().dtype(), DType::BF16);
        assert_eq!(norm.norm.gamma.val().into_data().iter::<f32>().collect::<Vec<_>>(), [1.5, 2.5]);
    }

    #[test]
    fn widening_keeps_every_number_of_half_precision() {
        let bytes: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
        let halves = TensorData::from_bytes_vec(bytes, Shape::from([256, 256]), DType::F16);
        let (ours, burns) = (widened(&halves), halves.convert::<f32>());
        assert_eq!((ours.shape(), ours.dtype()), (burns.shape(), burns.dtype()));
        let bits =
            |data: &TensorData| -> Vec<u32> { data.iter::<f32>().map(f32::to_bits).collect() };
        assert_eq!(bits(&ours), bits(&burns));
    }
}
