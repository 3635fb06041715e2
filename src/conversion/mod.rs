//! Weight files of many kinds → one folder of safetensors, tensor by tensor.

mod adapter_config;
mod model_folder;
mod options;
mod published_files;

pub use model_folder::{ConversionError, ConvertedModel, convert_model, convert_weights};
pub use options::ConversionOptions;
pub use published_files::{Conversion, PublishedFiles};
