//! A folder of configuration, tokenizer and weights, and both models that come out of it.

mod base;
mod checks;
mod error;
mod files;
mod in_blocks;
mod loading;
mod models;
mod reading;
mod run_info;
mod saving;

pub(crate) use base::is_added;
pub use error::ModelError;
pub use loading::LoadOptions;
pub use models::Models;
pub use reading::ModelDir;
pub use run_info::RunInfo;
pub use saving::{save_model_dir, save_settings};
