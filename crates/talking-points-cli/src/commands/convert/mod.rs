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

mod args;

use std::error::Error;

use serde::Serialize;
use talking_points::{Conversion, ConvertedModel, convert_model, convert_weights};

pub(crate) use self::args::Args;
use crate::output::print_result;

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
    let options = args.options()?;
    let converted = match args.network_config()? {
        Some(config) => of_model(convert_model(&args.from, &config, &args.out, options)?),
        None => Converted {
            conversion: convert_weights(&args.from, &args.out, options)?,
            is_model: false,
            notes: Vec::new(),
        },
    };
    print_result(args.common.json, &converted, || text(&converted, args))
}

/// A model folder, with what it still lacks.
fn of_model(ConvertedModel { conversion, has_tokenizer, .. }: ConvertedModel) -> Converted {
    let notes = if has_tokenizer {
        Vec::new()
    } else {
        vec![
            "tokenizer.json is missing: no source folder has one; docs/published.md says how it is made"
                .to_owned(),
        ]
    };
    Converted { conversion, is_model: has_tokenizer, notes }
}

fn text(Converted { conversion, is_model, notes }: &Converted, args: &Args) -> String {
    let named = |what: &str, names: &[String]| match names {
        [] => String::new(),
        _ => format!(
            "\n{} {what}: {}{}",
            names.len(),
            names[..names.len().min(5)].join(", "),
            if names.len() > 5 { ", …" } else { "" }
        ),
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
}
