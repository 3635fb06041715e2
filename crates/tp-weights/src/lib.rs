#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod bare_tensor;
mod batch_norm;
mod checkpoint;
mod claims;
mod error;
mod gguf;
mod key_map;
mod load;
mod parameter_shapes;
#[cfg(feature = "pytorch")]
mod pytorch_file;
mod safetensors_file;
mod safetensors_header;
mod safetensors_writer;
mod tensor_entry;

pub use checkpoint::{Checkpoint, TensorSlice, refuse_lfs_pointer};
pub use claims::{Claim, claims};
pub use error::WeightsError;
pub use gguf::{GgufFile, GgufTensor, GgufType, GgufValue};
pub use key_map::{KeyMap, Layout};
pub use load::{LoadReport, TensorFloat, load_module, load_module_as};
pub use parameter_shapes::{ParameterShape, parameter_shapes};
pub use safetensors_writer::{write_safetensors, write_safetensors_file};
pub use tensor_entry::TensorEntry;
