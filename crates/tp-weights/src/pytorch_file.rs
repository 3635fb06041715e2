//! A PyTorch file that is read tensor by tensor. Nothing in it is run: the reader knows the few
//! constructors that a list of tensors needs, and refuses the others.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use burn::tensor::DType;
use pytorch_reader::{PytorchReader, Tensor};

use crate::{TensorEntry, WeightsError, error::one_line};

/// The key under which training programs put the tensors.
const STATE_DICT: &str = "state_dict";

/// The tensors of a file, in the order of their names: those under `state_dict` if it has that key,
/// else all of them.
pub(crate) fn open(path: &Path) -> Result<Vec<(TensorEntry, Tensor)>, WeightsError> {
    let unsound = |reason: String| WeightsError::Unsound { path: path.to_owned(), reason };
    // The reader checks what it reads; should it ever trip, the file is to blame.
    let read = || {
        PytorchReader::with_top_level_key(path, STATE_DICT).or_else(|_| PytorchReader::new(path))
    };
    let reader = catch_unwind(AssertUnwindSafe(read))
        .map_err(|_| unsound("its structure could not be followed".to_owned()))?
        .map_err(|error| unsound(one_line(&error.to_string())))?;
    let n_in_file = std::fs::metadata(path)
        .map_err(|source| WeightsError::Read { path: path.to_owned(), source })?
        .len();
    let mut tensors = Vec::with_capacity(reader.len());
    for (name, tensor) in reader.into_tensors() {
        let Some(dtype) = dtype_of(tensor.dtype()) else {
            return Err(unsound(format!(
                "tensor {name} has the type {:?}, which has no place here",
                tensor.dtype()
            )));
        };
        let entry = TensorEntry { name, dtype, shape: tensor.shape().to_vec() };
        // A view may repeat one number as often as it likes: a file of a few bytes would ask for
        // gigabytes.
        if entry.n_bytes().is_none_or(|n_bytes| n_bytes as u64 > n_in_file) {
            let TensorEntry { name, shape, .. } = entry;
            return Err(unsound(format!(
                "tensor {name} of shape {shape:?} is larger than the whole file of {n_in_file} bytes"
            )));
        }
        tensors.push((entry, tensor));
    }
    tensors.sort_by(|a, b| a.0.name.cmp(&b.0.name));
    Ok(tensors)
}

fn dtype_of(dtype: pytorch_reader::DType) -> Option<DType> {
    use pytorch_reader::DType as Theirs;
    Some(match dtype {
        Theirs::F64 => DType::F64,
        Theirs::F32 => DType::F32,
        Theirs::F16 => DType::F16,
        Theirs::BF16 => DType::BF16,
        Theirs::I64 => DType::I64,
        Theirs::I32 => DType::I32,
        Theirs::I16 => DType::I16,
        Theirs::I8 => DType::I8,
        Theirs::U8 => DType::U8,
        _ => return None,
    })
}
