//! Weight files of strangers, checked before they are believed, and their way into Burn modules.
//!
//! - [`Checkpoint`] opens a safetensors file, a PyTorch file (feature `pytorch`), a folder, or an index of shards. Headers
//!   are checked against the file's size before anything of that size is allocated; tensors are read one at a time.
//! - [`KeyMap`] turns published parameter names into ours, from one table a crate.
//! - [`load_module`] fills a module and reports every missing, unused and wrong-shaped tensor at once.
//! - [`write_safetensors`] writes tensors one after the other, in shards if asked, so that a model of any size can be
//!   converted in the memory of its largest tensor.
//!
//! ```
//! use burn::nn::LinearConfig;
//! use burn::tensor::{DType, Device};
//! use tp_weights::{Checkpoint, KeyMap, TensorEntry, TensorFloat, load_module, write_safetensors};
//!
//! # let folder = tempfile::tempdir()?;
//! // One matrix, published as PyTorch lays it out: [out, in].
//! let entry = TensorEntry { name: "head.weight".into(), dtype: DType::F32, shape: vec![1, 2] };
//! let bytes = [0.5_f32, 2.0].map(f32::to_le_bytes).concat();
//! write_safetensors(folder.path(), &[entry], u64::MAX, |_| Ok(bytes.clone()))?;
//!
//! let mut layer = LinearConfig::new(2, 1).with_bias(false).init(&Device::flex());
//! let keys = KeyMap::new(&[("head.weight", "weight")]);
//! let report = load_module(&mut layer, &Checkpoint::open(folder.path())?, &keys, TensorFloat::F32);
//! assert!(report.is_complete(), "{report}");
//! assert_eq!(layer.weight.val().into_data().iter::<f32>().collect::<Vec<_>>(), [0.5, 2.0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod batch_norm;
mod checkpoint;
mod error;
mod key_map;
mod load;
mod parameter_shapes;
#[cfg(feature = "pytorch")]
mod pytorch_file;
mod safetensors_file;
mod safetensors_header;
mod safetensors_writer;
mod tensor_entry;

pub use checkpoint::{Checkpoint, Piece, refuse_lfs_pointer};
pub use error::WeightsError;
pub use key_map::{KeyMap, Layout};
pub use load::{LoadReport, TensorFloat, load_module};
pub use parameter_shapes::{ParameterShape, parameter_shapes};
pub use safetensors_writer::{write_safetensors, write_safetensors_file};
pub use tensor_entry::TensorEntry;
