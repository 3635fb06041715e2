//! The flags of `reinforce`.

use std::path::PathBuf;

use clap::ValueEnum;
use talking_points::data::DatasetFormat;

use crate::args::{CommonArgs, ModelArgs};

/// Reinforces the Descriptor with the Localizer's error as the reward.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The family whose points are described in training, e.g. Bovidae.
    #[arg(long, required = true)]
    pub(super) train_family: Option<String>,
    /// The family on which the result is evaluated, e.g. Canidae.
    #[arg(long, required = true)]
    pub(super) test_family: Option<String>,
    /// Use photographs instead of scenes: the format of the data set, as `talking-points data
    /// inspect` names it.
    #[arg(long, requires = "root")]
    pub(super) format: Option<DatasetFormat>,
    /// The folder of the photographs. Those of the training family are used for training on the
    /// training side of the split, and held out on the others; all of the other family are test
    /// images.
    #[arg(long, value_name = "DIR", requires = "format")]
    pub(super) root: Option<PathBuf>,
    /// Updates.
    #[arg(long, allow_negative_numbers = true, default_value_t = 300)]
    pub(super) steps: u64,
    /// At most ten minutes: few images, few steps, few test points.
    #[arg(long)]
    pub(super) quick: bool,
    /// The paper's settings where it names them: three samples a point, beta 0.1, learning rate
    /// 5e-6, three epochs.
    #[arg(long)]
    pub(super) paper: bool,
    /// The reward of a description.
    #[arg(long, value_enum, default_value_t = RewardArg::Mse)]
    pub(super) reward: RewardArg,
    /// Also reward, with this weight, the share of the names that the frozen vision model reads at the
    /// point and that the description says: a term that no coordinates can earn.
    #[arg(long, allow_negative_numbers = true, value_name = "WEIGHT", default_value_t = 0.0)]
    pub(super) names: f64,
    /// How the policy is updated from its samples.
    #[arg(long, value_enum, default_value_t = MethodArg::Grpo)]
    pub(super) method: MethodArg,
    /// A model folder whose Localizer reads the same texts, but gives no reward: a referee against
    /// reward hacking.
    #[arg(long, value_name = "DIR")]
    pub(super) referee: Option<PathBuf>,
    /// Overrides the learning rate.
    #[arg(long, allow_negative_numbers = true)]
    pub(super) learning_rate: Option<f64>,
    /// Overrides the weight of the divergence from the reference.
    #[arg(long, allow_negative_numbers = true)]
    pub(super) beta: Option<f64>,
    /// Continue from the newest checkpoint in the folder.
    #[arg(long)]
    pub(super) resume: bool,
    #[command(flatten)]
    pub(super) model: ModelArgs,
    /// The folder for logs, checkpoints, page and model.
    #[arg(long, required = true)]
    pub(super) out: Option<PathBuf>,
    #[command(flatten)]
    pub(super) common: CommonArgs,
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum RewardArg {
    /// The paper's.
    Mse,
    /// Minus the distance.
    Distance,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum MethodArg {
    /// The paper's.
    Grpo,
    /// Fine-tuning on the best of each group.
    BestOf,
    /// Direct preference optimization on the best and the worst of each group.
    Dpo,
}
