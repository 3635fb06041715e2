//! The flags of `train`.

use std::path::PathBuf;

use clap::ValueEnum;
use talking_points::recipe::Objective;

use crate::args::{CommonArgs, DeviceArgs, WeightsArgs};

/// Trains a model by a recipe: on your own data, or from random weights.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// quick, own-words, small, paper, joined, scenes, scenes-quick, or a file in TOML (`docs/training.md`).
    #[arg(long, default_value = "quick")]
    pub(super) recipe: String,
    /// Training data, as `[SOURCE=][FORMAT:]PATH`: a folder of images with annotations, a data set that
    /// `data build` has made, or a JSONL file of triplets beside its images; may be given many times.
    #[arg(long, value_name = "DATA")]
    pub(super) data: Vec<String>,
    /// The model folder from which recipes start that have a base: trained or published weights.
    #[arg(long, value_name = "DIR", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/tiny"))]
    pub(super) base: PathBuf,
    #[command(flatten)]
    pub(super) weights: WeightsArgs,
    /// Estimate hours, memory and disk from a few measured steps, and train nothing.
    #[arg(long)]
    pub(super) plan: bool,
    /// Train this stage alone; a later stage starts from the newest checkpoint of the one before.
    #[arg(long, value_enum, default_value_t = StageArg::All)]
    pub(super) stage: StageArg,
    /// Train this phase alone, e.g. `0-names`; may be given many times.
    #[arg(long, value_name = "NAME", conflicts_with = "stage")]
    pub(super) phase: Vec<String>,
    /// Continue from the newest checkpoints in the folder.
    #[arg(long)]
    pub(super) resume: bool,
    /// The share of every phase's steps to run, for trials.
    #[arg(long, allow_negative_numbers = true, value_name = "SHARE", default_value_t = 1.0)]
    pub(super) steps: f64,
    /// The published weights of EfficientNet-Lite0 (`.pth` or safetensors), for the recipe `small`.
    #[arg(long, value_name = "FILE")]
    pub(super) backbone: Option<PathBuf>,
    /// Start with every weight of another model that has a place and the same shape here; `--from`
    /// takes precedence.
    #[arg(long, value_name = "DIR", conflicts_with = "vision")]
    pub(super) warm_start: Option<PathBuf>,
    /// Start with the vision encoder of this model folder, and skip the phase that trains it alone.
    #[arg(long, alias = "eyes", value_name = "DIR", conflicts_with = "from")]
    pub(super) vision: Option<PathBuf>,
    /// Start from these weights (a `model.bpk` of an earlier run) instead of random ones.
    #[arg(long, value_name = "FILE")]
    pub(super) from: Option<PathBuf>,
    /// Exclude this family from scenes and photographs; may be given many times. Its words stay in
    /// the vocabulary.
    #[arg(long, value_name = "FAMILY")]
    pub(super) without_family: Vec<String>,
    /// The folder for logs, checkpoints and the model.
    #[arg(long)]
    pub(super) out: PathBuf,
    #[command(flatten)]
    pub(super) device: DeviceArgs,
    #[command(flatten)]
    pub(super) common: CommonArgs,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum StageArg {
    /// Vision encoder and base.
    #[value(name = "0")]
    Base,
    /// The Descriptor.
    #[value(name = "1")]
    Descriptor,
    /// The Localizer.
    #[value(name = "2")]
    Localizer,
    All,
}

impl StageArg {
    /// Whether the stage has phases of this objective.
    pub(super) fn has(self, objective: Objective) -> bool {
        match self {
            Self::All => true,
            Self::Base => matches!(
                objective,
                Objective::Names | Objective::Vision | Objective::Language | Objective::Base
            ),
            Self::Descriptor => objective == Objective::Descriptor,
            Self::Localizer => objective == Objective::Localizer,
        }
    }
}
