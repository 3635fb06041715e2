//! Joins the vision model of one model with a language model: a base to be trained.
//!
//! ```sh
//! talking-points join --vision models/tiny --language MODEL --out runs/base
//! talking-points train --base runs/base --data PATH --out runs/joined
//! ```

use std::{error::Error, path::PathBuf};

use serde::Serialize;
use talking_points::JoinedBase;

use crate::{
    args::{CommonArgs, DeviceArgs},
    output::print_result,
};

/// Joins the vision model of one model with a language model: a base to be trained.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The model folder whose vision model, namer and heads are used.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/tiny"))]
    vision: PathBuf,
    /// The language model: a Hugging Face folder, or a GGUF file.
    #[arg(long, value_name = "MODEL")]
    language: PathBuf,
    /// The folder for the joined model, which must be empty or absent.
    #[arg(long)]
    out: PathBuf,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Serialize)]
struct Joined {
    out: PathBuf,
    vocab_size: usize,
    hidden_size: usize,
    layers: usize,
}

pub(crate) fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let joined = JoinedBase::new(&args.vision, &args.language, &args.device.open()?)?;
    joined.save(&args.out)?;
    let language = &joined.config.language;
    let printed = Joined {
        out: args.out.clone(),
        vocab_size: language.vocab_size,
        hidden_size: language.hidden_size,
        layers: language.num_hidden_layers,
    };
    print_result(args.common.json, &printed, || {
        format!(
            "{}: {} layers of width {}, {} tokens; its projections are untrained: train it with `talking-points train --base`",
            args.out.display(),
            printed.layers,
            printed.hidden_size,
            printed.vocab_size
        )
    })
}
