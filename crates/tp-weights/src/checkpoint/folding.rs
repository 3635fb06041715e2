//! A batch norm that is folded into the convolution before it.

use burn::tensor::{DType, TensorData};

use super::{
    Checkpoint,
    tensors::{Source, Stored},
};
use crate::{TensorEntry, WeightsError, batch_norm::BatchNorm};

/// A parameter of a convolution that has taken in the batch norm behind it.
#[derive(Clone, Debug)]
pub(super) struct Folded {
    /// The name of the norm.
    norm: String,
    eps: f64,
    /// Where the convolution's own weight is; `None` for the bias, which it did not have.
    weight: Option<Box<Stored>>,
}

impl Checkpoint {
    /// Folds the batch norm `norm` into the convolution `convolution` before it, with the norm's
    /// statistics as they are: the convolution's weight changes and it gets a bias, both in single
    /// precision; the norm's tensors are no longer listed.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] if a tensor is missing, or does not have one number for each channel that
    /// the convolution makes. A non-finite or negative variance is found when the tensor is read.
    pub fn folded(mut self, convolution: &str, norm: &str, eps: f64) -> Result<Self, WeightsError> {
        let names = [format!("{convolution}.weight"), format!("{convolution}.bias")];
        let at = *self.by_name.get(&names[0]).ok_or_else(|| self.no_such(&names[0]))?;
        let weight = self.tensors[at].clone();
        let channels = weight.entry.shape.first().copied().unwrap_or(0);
        for vector in BatchNorm::VECTORS.map(|vector| format!("{norm}.{vector}")) {
            let found = self.entry(&vector)?;
            if !found.dtype.is_float() || found.shape != [channels] {
                let reason =
                    format!("{vector} is no vector of the {channels} channels of {convolution}");
                return Err(WeightsError::Unsound { path: self.path.clone(), reason });
            }
        }
        if !weight.entry.dtype.is_float() {
            return Err(WeightsError::Unsound {
                path: self.path.clone(),
                reason: format!("{} holds no real numbers", names[0]),
            });
        }
        let [made, bias] =
            names.map(|name| TensorEntry { name, dtype: DType::F32, shape: vec![channels] });
        let folded = |weight| Source::Folded(Folded { norm: norm.to_owned(), eps, weight });
        self.add(Stored { entry: bias, file: weight.file.clone(), source: folded(None) })?;
        let entry = TensorEntry { shape: weight.entry.shape.clone(), ..made };
        self.tensors[at] =
            Stored { entry, file: weight.file.clone(), source: folded(Some(Box::new(weight))) };
        let tensors = BatchNorm::VECTORS.into_iter().chain([BatchNorm::COUNTER]);
        self.joined_away.extend(tensors.map(|tensor| format!("{norm}.{tensor}")));
        Ok(self)
    }

    pub(super) fn read_folded(
        &self,
        Folded { norm, eps, weight }: &Folded,
        entry: &TensorEntry,
    ) -> Result<Vec<u8>, WeightsError> {
        let vector = |name: &str| self.read_numbers(self.stored(&format!("{norm}.{name}"))?);
        let [gamma, beta, mean, variance] = BatchNorm::VECTORS;
        let norm = BatchNorm {
            weight: vector(gamma)?,
            bias: vector(beta)?,
            mean: vector(mean)?,
            variance: vector(variance)?,
            eps: *eps,
        };
        let numbers = match weight {
            Some(weight) => norm.folded_weight(&self.read_numbers(weight)?),
            None => norm.folded_bias(),
        };
        let unsound = |reason| WeightsError::Unsound {
            path: self.path.clone(),
            reason: format!("{}: {reason}", entry.name),
        };
        Ok(numbers
            .map_err(unsound)?
            .iter()
            .flat_map(|&number| (number as f32).to_le_bytes())
            .collect())
    }

    fn read_numbers(&self, stored: &Stored) -> Result<Vec<f64>, WeightsError> {
        let bytes = self.read_stored(stored)?;
        Ok(TensorData::from_bytes_vec(bytes, stored.entry.shape.clone(), stored.entry.dtype)
            .iter::<f64>()
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::write_safetensors;

    /// A convolution from one channel to two, and a batch norm behind it.
    fn convolution_and_norm(folder: &Path) -> Checkpoint {
        let vector = |name: &str, values: [f32; 2]| (name.to_owned(), vec![2], values.to_vec());
        let tensors = [
            ("conv.weight".to_owned(), vec![2, 1, 1, 2], vec![1.0, 2.0, 3.0, 4.0]),
            vector("norm.weight", [6.0, -3.0]),
            vector("norm.bias", [1.0, 2.0]),
            vector("norm.running_mean", [10.0, 100.0]),
            vector("norm.running_var", [4.0, 4.0]),
            ("norm.num_batches_tracked".to_owned(), vec![], vec![7.0]),
            vector("other.weight", [0.0, 0.0]),
        ];
        let entries: Vec<TensorEntry> = tensors
            .iter()
            .map(|(name, shape, _)| TensorEntry {
                name: name.clone(),
                dtype: DType::F32,
                shape: shape.clone(),
            })
            .collect();
        write_safetensors(folder, &entries, u64::MAX, |entry| {
            let values = &tensors.iter().find(|(name, ..)| *name == entry.name).unwrap().2;
            Ok(values.iter().flat_map(|value| value.to_le_bytes()).collect())
        })
        .unwrap();
        Checkpoint::open(folder).unwrap()
    }

    #[test]
    fn batch_norm_is_folded_into_its_convolution() {
        let folder = tempfile::tempdir().unwrap();
        let folded = convolution_and_norm(folder.path()).folded("conv", "norm", 5.0).unwrap();
        let mut names: Vec<_> = folded.entries().map(|entry| entry.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["conv.bias", "conv.weight", "other.weight"]);
        assert_eq!(
            (
                &folded.entry("conv.weight").unwrap().shape[..],
                &folded.entry("conv.bias").unwrap().shape[..]
            ),
            (&[2, 1, 1, 2][..], &[2][..])
        );
        let numbers = |name: &str| -> Vec<f32> {
            folded
                .read(name)
                .unwrap()
                .chunks_exact(4)
                .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
                .collect()
        };
        assert_eq!(numbers("conv.weight"), [2.0, 4.0, -3.0, -4.0]);
        assert_eq!(numbers("conv.bias"), [-19.0, 102.0]);
    }

    #[test]
    fn batch_norm_that_does_not_fit_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let message = |convolution: &str, norm: &str| {
            convolution_and_norm(folder.path())
                .folded(convolution, norm, 5.0)
                .unwrap_err()
                .to_string()
        };
        assert!(message("none", "norm").contains("no tensor none.weight"));
        assert!(message("conv", "other").contains("no tensor other.bias"));
        let negative = convolution_and_norm(folder.path()).folded("conv", "norm", -5.0).unwrap();
        assert!(
            negative
                .read("conv.bias")
                .unwrap_err()
                .to_string()
                .contains("conv.bias: a channel of scale 6 and variance 4")
        );
    }
}
