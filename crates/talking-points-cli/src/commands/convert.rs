//! Converts published weights of several files into one folder of safetensors.
//!
//! ```sh
//! talking-points convert --from convnext_large_d_320.bin --from omg_seg_convl.pth \
//!     --from internlm2-chat-7b --from omg_llava_7b_finetune_8gpus.pth --float bf16 --out models/omg-llava-7b
//! ```

use std::{error::Error, path::PathBuf};

use clap::ValueEnum;
use talking_points::{ConversionOptions, convert_weights, weights::TensorFloat};

use crate::cli::{self, CommonArgs};

/// Converts published weights of several files into one folder of safetensors.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A safetensors or PyTorch file, an index of shards, or a folder; may be given many times, and
    /// the last one that has a tensor counts.
    #[arg(long, required = true)]
    from: Vec<PathBuf>,
    /// The folder to write; it must not contain weights.
    #[arg(long)]
    out: PathBuf,
    /// The number format of floats.
    #[arg(long, value_enum, default_value_t = Float::Keep)]
    float: Float,
    /// The maximum size of a file in GiB, beyond which weights are split into shards.
    #[arg(long, allow_negative_numbers = true, default_value_t = 4.0)]
    max_shard_gib: f64,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Clone, Copy, ValueEnum)]
enum Float {
    /// Each tensor's own, bit for bit.
    Keep,
    F32,
    F16,
    Bf16,
}

pub(crate) fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    for name in ["model.safetensors", "model.safetensors.index.json"] {
        if args.out.join(name).exists() {
            return Err(format!(
                "{} holds weights already: name another folder",
                args.out.display()
            )
            .into());
        }
    }
    if args.max_shard_gib.is_nan() || args.max_shard_gib <= 0.0 {
        return Err(format!(
            "--max-shard-gib {} makes no file: name a number above 0",
            args.max_shard_gib
        )
        .into());
    }
    let float = match args.float {
        Float::Keep => None,
        Float::F32 => Some(TensorFloat::F32),
        Float::F16 => Some(TensorFloat::F16),
        Float::Bf16 => Some(TensorFloat::BF16),
    };
    let max_shard_bytes = (args.max_shard_gib * f64::from(1 << 30)) as u64;
    let conversion =
        convert_weights(&args.from, &args.out, ConversionOptions { float, max_shard_bytes })?;
    cli::print_result(args.common.json, &conversion, || {
        let named = |what: &str, names: &[String]| match names {
            [] => String::new(),
            _ => {
                format!(
                    "\n{} {what}: {}{}",
                    names.len(),
                    names[..names.len().min(5)].join(", "),
                    if names.len() > 5 { ", …" } else { "" }
                )
            }
        };
        format!(
            "{} tensors, {} of an adapter, {:.1} MiB → {}{}{}",
            conversion.tensors,
            conversion.adapter_tensors,
            conversion.bytes as f64 / f64::from(1 << 20),
            args.out.display(),
            named("replaced by a later file", &conversion.overridden),
            named("kept that no part of the network is called", &conversion.unknown),
        )
    })
}
