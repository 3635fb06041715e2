//! The flags of `train`.

use std::path::PathBuf;

use clap::ValueEnum;
use talking_points::recipe::Objective;

use crate::cli::{CommonArgs, DeviceArgs};

/// Trains a model: vision encoder, base, Descriptor and Localizer.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Twenty minutes on scenes alone.
    #[arg(long)]
    pub(super) quick: bool,
    /// Train this stage alone; a later stage starts from the newest checkpoint of the one before.
    #[arg(long, value_enum, default_value_t = StageArg::All)]
    pub(super) stage: StageArg,
    /// Train this phase alone, e.g. `0-names` (`docs/training.md`); may be given many times.
    #[arg(long, value_name = "NAME", conflicts_with = "stage")]
    pub(super) phase: Vec<String>,
    /// Continue from the newest checkpoints in the folder.
    #[arg(long)]
    pub(super) resume: bool,
    /// Start from these weights (a `model.bpk` of an earlier run) instead of random ones.
    #[arg(long, value_name = "FILE")]
    pub(super) from: Option<PathBuf>,
    /// Start with the vision encoder of this model folder, and skip the phase that trains it alone.
    #[arg(long, value_name = "DIR", conflicts_with = "from")]
    pub(super) eyes: Option<PathBuf>,
    /// The share of every phase's steps to run, for trials.
    #[arg(long, allow_negative_numbers = true, value_name = "SHARE", default_value_t = 1.0)]
    pub(super) steps: f64,
    /// A folder with `annotations.json` and its photographs, whose names the vision encoder learns densely;
    /// may be given many times.
    #[arg(long, value_name = "DIR")]
    pub(super) photographs: Vec<PathBuf>,
    /// The published weights of EfficientNet-Lite0 (`.pth` or safetensors): the model then knows
    /// everyday things and names points.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["quick", "eyes"])]
    pub(super) backbone: Option<PathBuf>,
    /// A folder of described points, or of photographs with `annotations.json`, of everyday objects;
    /// may be given many times.
    #[arg(long, value_name = "DIR", requires = "backbone")]
    pub(super) everyday: Vec<PathBuf>,
    /// The labels of cut-outs (`labels.jsonl`), which are put on the photographs of `--everyday`.
    #[arg(long, value_name = "FILE", requires = "stamps")]
    pub(super) cutouts: Option<PathBuf>,
    /// The folder of their pictures, which `tools/cutouts.sh` prints.
    #[arg(long, value_name = "DIR", requires = "cutouts")]
    pub(super) stamps: Option<PathBuf>,
    /// Start with every weight of another model that has a place and the same shape here; `--from`
    /// takes precedence.
    #[arg(long, value_name = "DIR", conflicts_with = "eyes")]
    pub(super) warm_start: Option<PathBuf>,
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
