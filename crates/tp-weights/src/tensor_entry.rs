//! What a file says of one tensor, before its numbers are read.

use burn::tensor::DType;

/// Name, type and shape of a tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorEntry {
    /// As the file has it.
    pub name: String,
    /// Type of its numbers.
    pub dtype: DType,
    /// Extent of every dimension; none for a single number.
    pub shape: Vec<usize>,
}

impl TensorEntry {
    /// Its size in bytes, or `None` if that is no number of this machine.
    #[must_use]
    pub fn n_bytes(&self) -> Option<usize> {
        self.shape.iter().try_fold(self.dtype.size(), |bytes, &extent| bytes.checked_mul(extent))
    }
}
