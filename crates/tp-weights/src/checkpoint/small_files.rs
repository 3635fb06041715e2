//! Small weight files for tests.

use std::path::Path;

use burn::tensor::DType;

use crate::{TensorEntry, write_safetensors};

/// An entry of `n` bytes.
pub(super) fn entry(name: &str, n: usize) -> TensorEntry {
    TensorEntry { name: name.into(), dtype: DType::U8, shape: vec![n] }
}

/// Three tensors in shards of at most five bytes.
pub(super) fn shards(folder: &Path) {
    let entries = [entry("a", 3), entry("b", 4), entry("c", 1)];
    write_safetensors(folder, &entries, 5, |entry| {
        Ok(entry.name.repeat(entry.shape[0]).into_bytes())
    })
    .unwrap();
}
