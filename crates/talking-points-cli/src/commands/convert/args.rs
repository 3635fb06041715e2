//! The flags of `convert`.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use talking_points::{
    ConversionOptions, ModelDir, ModelError, NetworkConfig, weights::TensorFloat,
};

use crate::args::CommonArgs;

/// The published base, where a network is asked for by name.
const PUBLISHED: &str = "omg-llava-7b";

/// Converts published weights of several files into one folder of safetensors.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A safetensors or PyTorch file, an index of shards, or a folder; may be given many times, and
    /// the last one that has a tensor counts.
    #[arg(long, required = true)]
    pub(super) from: Vec<PathBuf>,
    /// The folder to write; it must not contain weights.
    #[arg(long)]
    pub(super) out: PathBuf,
    /// Makes a model folder: checks that nothing is missing for this network, and writes its
    /// configuration and, if a source folder has a tokenizer.json, its tokenizer. `omg-llava-7b`, or
    /// a model folder whose configuration is taken.
    #[arg(long)]
    pub(super) network: Option<PathBuf>,
    /// The alpha of an adapter among the tensors; the update counts alpha / rank. OMG-LLaVA's is
    /// 256, its files do not say so.
    #[arg(long, allow_negative_numbers = true, default_value_t = 256.0)]
    pub(super) lora_alpha: f64,
    /// The number format of floats.
    #[arg(long, value_enum, default_value_t = Float::Keep)]
    float: Float,
    /// The maximum size of a file in GiB, beyond which weights are split into shards.
    #[arg(long, allow_negative_numbers = true, default_value_t = 4.0)]
    max_shard_gib: f64,
    #[command(flatten)]
    pub(super) common: CommonArgs,
}

#[derive(Clone, Copy, ValueEnum)]
enum Float {
    /// Each tensor's own, bit for bit.
    Keep,
    F32,
    F16,
    Bf16,
}

impl Args {
    /// How weights are converted.
    ///
    /// # Errors
    ///
    /// If a number is not above 0.
    pub(super) fn options(&self) -> Result<ConversionOptions, String> {
        if self.max_shard_gib.is_nan() || self.max_shard_gib <= 0.0 {
            return Err(format!(
                "--max-shard-gib {} makes no file: name a number above 0",
                self.max_shard_gib
            ));
        }
        if !(self.lora_alpha.is_finite() && self.lora_alpha > 0.0) {
            return Err(format!("--lora-alpha is {}: name a number above 0", self.lora_alpha));
        }
        let float = match self.float {
            Float::Keep => None,
            Float::F32 => Some(TensorFloat::F32),
            Float::F16 => Some(TensorFloat::F16),
            Float::Bf16 => Some(TensorFloat::BF16),
        };
        let max_shard_bytes = (self.max_shard_gib * f64::from(1 << 30)) as u64;
        Ok(ConversionOptions { float, max_shard_bytes, lora_alpha: self.lora_alpha })
    }

    /// The configuration of the network that goes by a name, or of a model folder.
    ///
    /// # Errors
    ///
    /// If the folder is no model's.
    pub(super) fn network_config(&self) -> Result<Option<NetworkConfig>, ModelError> {
        Ok(match self.network.as_deref() {
            None => None,
            Some(name) if name == Path::new(PUBLISHED) => Some(NetworkConfig::omg_llava_7b()),
            Some(folder) => Some(ModelDir::open(folder)?.config().clone()),
        })
    }
}
