//! All tensors of a checkpoint, in however many files.

mod folding;
mod joining;
mod opening;
mod shards;
#[cfg(test)]
mod small_files;
mod tensors;

pub use joining::TensorSlice;
pub use opening::refuse_lfs_pointer;
pub use tensors::Checkpoint;
