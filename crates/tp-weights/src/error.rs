//! Why weights cannot be used.

use std::{io, path::PathBuf};

use tp_core::IS_LFS_POINTER;

/// Why weights cannot be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages name the fields")]
#[non_exhaustive]
pub enum WeightsError {
    /// A file that is missing or cannot be read.
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// A file that cannot be written.
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: io::Error },
    /// What Git leaves where large files were not fetched.
    #[error("{} {IS_LFS_POINTER}", path.display())]
    LfsPointer { path: PathBuf },
    /// A path under which there are no weights.
    #[error("no weights in {}: a file .safetensors, .pth, .pt, .bin or .index.json is read, or a folder that holds model.safetensors, pytorch_model.bin, an index of either, or one such file", path.display())]
    NoWeights { path: PathBuf },
    /// A PyTorch file of named tensors, which this build does not read.
    #[error("{} is a PyTorch file: build with the feature `pytorch` to read it", path.display())]
    PytorchNotBuilt { path: PathBuf },
    /// A file that is not what its name says, or that contradicts itself.
    #[error("{} is not a valid weight file: {reason}", path.display())]
    Unsound { path: PathBuf, reason: String },
    /// An index that names a file which is not there.
    #[error("{} says that {tensor} is in {shard}, which is not beside it", index.display())]
    MissingShard { index: PathBuf, tensor: String, shard: String },
    /// One name in two files.
    #[error("{tensor} stands in {} and in {}", first.display(), second.display())]
    Duplicate { tensor: String, first: PathBuf, second: PathBuf },
    /// A tensor that a checkpoint lacks.
    #[error("{} has no tensor {tensor}", path.display())]
    NoSuchTensor { path: PathBuf, tensor: String },
}

/// A message in one line.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
