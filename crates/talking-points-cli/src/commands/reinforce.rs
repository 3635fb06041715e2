//! Teaches the Descriptor to write what the Localizer finds: reinforcement on one family of
//! objects, judged on another.
//!
//! ```sh
//! talking-points reinforce --train-family Bovidae --test-family Canidae --quick --out runs/grpo
//! talking-points reinforce --train-family Bovidae --test-family Canidae --format ap10k --root DIR --out runs/ap10k
//! ```
//!
//! `texts-*.jsonl` in the folder hold what was said before and after, `points-*.jsonl` where it
//! leads: `talking-points compare` puts runs together.
//!
//! Ctrl-C writes a checkpoint; the same call with `--resume` goes on from there.

use std::{
    error::Error,
    path::{Path, PathBuf},
};

use clap::ValueEnum;
use talking_points::{
    ModelDir,
    core::Seed,
    data::{DatasetFormat, ReadOptions, Strictness},
    reinforcement::{
        Experiment, ExperimentReport, ExperimentSets, ExperimentSettings, ExperimentSize, Method,
    },
    rl::{NegativeDistance, Reward},
    train::stop_on_ctrl_c,
};

use crate::cli::{self, CommonArgs, ModelArgs};

/// Updates of a quick experiment, at most.
const QUICK_STEPS: u64 = 60;

/// Teaches the Descriptor to write what the Localizer finds.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The family whose points are described in training, e.g. Bovidae.
    #[arg(long, required = true)]
    train_family: Option<String>,
    /// The family on which the result is judged, e.g. Canidae.
    #[arg(long, required = true)]
    test_family: Option<String>,
    /// Photographs instead of scenes: the form of the data set, as `talking-points data inspect`
    /// names it.
    #[arg(long, requires = "root")]
    format: Option<DatasetFormat>,
    /// The folder of the photographs. Those of the training family are learned from on the training
    /// side of the data set's split, and held back on the others; all of the other family are
    /// tested on.
    #[arg(long, value_name = "DIR", requires = "format")]
    root: Option<PathBuf>,
    /// Updates.
    #[arg(long, allow_negative_numbers = true, default_value_t = 300)]
    steps: u64,
    /// At most ten minutes: few images, few steps, few test points.
    #[arg(long)]
    quick: bool,
    /// The paper's settings where it names them: three samples a point, beta 0.1, learning rate
    /// 5e-6, three epochs.
    #[arg(long)]
    paper: bool,
    /// What a description is worth.
    #[arg(long, value_enum, default_value_t = RewardArg::Mse)]
    reward: RewardArg,
    /// How the policy learns from its samples.
    #[arg(long, value_enum, default_value_t = MethodArg::Grpo)]
    method: MethodArg,
    /// A model folder whose Localizer reads the same texts and is never learned from: reward
    /// hacking would show here.
    #[arg(long, value_name = "DIR")]
    referee: Option<PathBuf>,
    /// Overrides the learning rate.
    #[arg(long, allow_negative_numbers = true)]
    learning_rate: Option<f64>,
    /// Overrides how much the divergence from the reference counts.
    #[arg(long, allow_negative_numbers = true)]
    beta: Option<f64>,
    /// Go on from the newest checkpoint in the folder.
    #[arg(long)]
    resume: bool,
    #[command(flatten)]
    model: ModelArgs,
    /// Where logs, checkpoints, page and model go.
    #[arg(long, required = true)]
    out: Option<PathBuf>,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Clone, Copy, ValueEnum)]
enum RewardArg {
    /// The paper's.
    Mse,
    /// Minus the distance.
    Distance,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum MethodArg {
    /// The paper's.
    Grpo,
    /// Fine-tuning on the best of each group.
    BestOf,
    /// Direct preference optimisation on the best and the worst of each group.
    Dpo,
}

pub(crate) fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let (Some(own), Some(other), Some(out)) = (&args.train_family, &args.test_family, &args.out)
    else {
        return Err("--train-family, --test-family and --out are needed: see --help".into());
    };
    let models = args.model.load()?;
    let referee = match &args.referee {
        Some(folder) => Some(ModelDir::open(folder)?.load(&args.model.device.open()?)?),
        None => None,
    };
    let reward = match args.reward {
        RewardArg::Mse => Reward::paper(),
        RewardArg::Distance => Reward::nothing().plus(1.0, NegativeDistance),
    };
    let settings = ExperimentSettings {
        steps: if args.quick { args.steps.min(QUICK_STEPS) } else { args.steps },
        paper: args.paper,
        method: match args.method {
            MethodArg::Grpo => Method::Grpo,
            MethodArg::BestOf => Method::BestOf,
            MethodArg::Dpo => Method::Dpo,
        },
        learning_rate: args.learning_rate,
        beta: args.beta,
    };
    let experiment = Experiment {
        models: &models,
        referee: referee.as_ref(),
        sets: &sets(args, [own, other], models.config.vision.image_size)?,
        reward: &reward,
        settings: &settings,
        title: &format!("{own} for {other}"),
        out,
        resume: args.resume,
        seed: Seed(args.common.seed),
    };
    let stop = stop_on_ctrl_c()?;
    let report = experiment.run(&stop)?;
    cli::print_result(args.common.json, &report, || text(&report, [own, other], out))
}

fn sets(
    args: &Args,
    families: [&str; 2],
    image_size: usize,
) -> Result<ExperimentSets, Box<dyn Error>> {
    let size = if args.quick { ExperimentSize::QUICK } else { ExperimentSize::FULL };
    let seed = Seed(args.common.seed);
    let Some((format, root)) = args.format.zip(args.root.as_ref()) else {
        return Ok(ExperimentSets::scenes(families, u32::try_from(image_size)?, size, seed)?);
    };
    let dataset = format
        .open(root, ReadOptions { strictness: Strictness::Lenient, ..ReadOptions::default() })?;
    let mut sets = ExperimentSets::photographs(&*dataset, families, size.points_per_image, seed)?;
    if args.quick {
        sets.truncate(size);
    }
    Ok(sets)
}

fn number(value: Option<f64>) -> String {
    value.map_or("–".to_owned(), |value| format!("{value:.1}"))
}

/// What people read.
fn text(report: &ExperimentReport, [own, other]: [&str; 2], out: &Path) -> String {
    let referee = match (report.referee_before, report.referee_after) {
        (None, None) => String::new(),
        (before, after) => {
            format!("\nthe same read by the referee: {} → {}", number(before), number(after))
        }
    };
    format!(
        "{} steps, reward {:.4} → {:.4} (first and last fifth), {:.1} samples/s\n\
         mPCK on {}: {} → {}, difference {}, smallest detectable {}{referee}\nmPCK on held-back {}: {} → {}\npage: {}",
        report.steps,
        report.reward_first,
        report.reward_last,
        report.samples_per_second,
        other,
        number(report.mpck_before),
        number(report.mpck_after),
        report.ci.map_or("–".to_owned(), |[lo, hi]| format!("[{lo:.1}, {hi:.1}]")),
        number(report.smallest_detectable),
        own,
        number(report.family_before),
        number(report.family_after),
        out.join("index.html").display()
    )
}
