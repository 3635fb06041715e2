//! Converts published weights of several files into one folder of safetensors; those of a complete
//! base into a model folder.
//!
//! ```sh
//! talking-points convert --from open_clip_pytorch_model.bin --from omg_seg_convl.pth \
//!     --from convnext_large_d_320_CocoPanopticOVDataset.pth --from internlm2-chat-7b \
//!     --from omg_llava_7b_finetune_8gpus.pth --network omg-llava-7b --float bf16 --out models/omg-llava-7b
//! ```
//!
//! `docs/published.md` goes through it step by step.

use std::{
    error::Error,
    path::{Path, PathBuf},
};

use clap::ValueEnum;
use serde::Serialize;
use talking_points::{
    Conversion, ConversionOptions, ModelDir, NetworkConfig, PublishedFiles, language::Tokenizer,
    save_settings, weights::TensorFloat,
};

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
    /// Makes a model folder: checks that nothing is missing for this network, and writes its
    /// configuration and, if a source folder has a tokenizer.json, its tokenizer. `omg-llava-7b`, or
    /// a model folder whose configuration is taken.
    #[arg(long)]
    network: Option<PathBuf>,
    /// The alpha of an adapter among the tensors; the update counts alpha / rank. OMG-LLaVA's is
    /// 256, its files do not say so.
    #[arg(long, allow_negative_numbers = true, default_value_t = 256.0)]
    lora_alpha: f64,
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

/// The published base, where a network is asked for by name.
const PUBLISHED: &str = "omg-llava-7b";
const TOKENIZER: &str = "tokenizer.json";

/// What is printed.
#[derive(Serialize)]
struct Converted {
    #[serde(flatten)]
    conversion: Conversion,
    /// Whether the folder is a model now: weights, configuration and tokenizer.
    is_model: bool,
    /// What is still to be done for it.
    notes: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    for name in ["model.safetensors", "model.safetensors.index.json"] {
        if args.out.join(name).exists() {
            return Err(format!(
                "{} already contains weights: use another folder",
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
    if !(args.lora_alpha.is_finite() && args.lora_alpha > 0.0) {
        return Err(format!("--lora-alpha is {}: name a number above 0", args.lora_alpha).into());
    }
    let network = args.network.as_deref().map(network_config).transpose()?;
    let max_shard_bytes = (args.max_shard_gib * f64::from(1 << 30)) as u64;
    let files = PublishedFiles::open(&args.from)?;
    if let Some(config) = &network {
        refuse_gaps(&files.lacking(config))?;
    }
    let options = ConversionOptions { float, max_shard_bytes, lora_alpha: args.lora_alpha };
    let conversion = files.write(&args.out, options)?;
    let notes = match &network {
        Some(config) => complete(args, config)?,
        None => Vec::new(),
    };
    let converted =
        Converted { conversion, is_model: network.is_some() && notes.is_empty(), notes };
    cli::print_result(args.common.json, &converted, || {
        let Converted { conversion, is_model, notes } = &converted;
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
        let adapter = conversion
            .adapter_rank
            .map_or(String::new(), |rank| format!(" of rank {rank}, alpha {}", args.lora_alpha));
        let model = if *is_model { "\na model folder: `describe --model` reads it" } else { "" };
        format!(
            "{} tensors, {} of an adapter{adapter}, {:.1} MiB → {}{}{}{model}{}",
            conversion.tensors,
            conversion.adapter_tensors,
            conversion.bytes as f64 / f64::from(1 << 20),
            args.out.display(),
            named("replaced by a later file", &conversion.overridden),
            named("kept that no part of the network is called", &conversion.unknown),
            notes.iter().map(|note| format!("\n{note}")).collect::<String>(),
        )
    })
}

/// The configuration of a network that goes by a name, or of a model folder.
fn network_config(network: &Path) -> Result<NetworkConfig, Box<dyn Error>> {
    if network == Path::new(PUBLISHED) {
        return Ok(NetworkConfig::omg_llava_7b());
    }
    Ok(ModelDir::open(network)?.config().clone())
}

/// Nothing of gigabytes is written if something is missing.
fn refuse_gaps(lacking: &[String]) -> Result<(), Box<dyn Error>> {
    if lacking.is_empty() {
        return Ok(());
    }
    let few = lacking[..lacking.len().min(3)].join(", ");
    let more = if lacking.len() > 3 { ", …" } else { "" };
    Err(format!(
        "the files lack {} of the network's tensors, or have them in another shape: {few}{more}; add the missing files with --from (docs/published.md lists them)",
        lacking.len()
    )
    .into())
}

/// Writes what makes the weights a model folder; what it cannot write is said.
fn complete(args: &Args, config: &NetworkConfig) -> Result<Vec<String>, Box<dyn Error>> {
    save_settings(&args.out, config, None)?;
    let files = args.from.iter().map(|source| source.join(TOKENIZER));
    match files.into_iter().find(|file| file.is_file()) {
        Some(file) => {
            Tokenizer::from_chat_model(&file)?.save(&args.out.join(TOKENIZER))?;
            Ok(Vec::new())
        }
        None => Ok(vec![format!(
            "{TOKENIZER} is missing: no source folder has one; docs/published.md says how it is made"
        )]),
    }
}
