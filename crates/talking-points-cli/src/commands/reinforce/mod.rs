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

mod args;

use std::error::Error;

use talking_points::{
    ModelDir,
    core::Seed,
    data::{ReadOptions, Strictness},
    reinforcement::{
        Experiment, ExperimentSets, ExperimentSettings, ExperimentSize, Method, NamesSaid,
    },
    rl::{NegativeDistance, Reward},
    train::stop_on_ctrl_c,
};

pub(crate) use self::args::Args;
use self::args::{MethodArg, RewardArg};
use crate::output::print_result;

/// Updates of a quick experiment, at most.
const QUICK_STEPS: u64 = 60;

pub(crate) fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let (Some(own), Some(other), Some(out)) = (&args.train_family, &args.test_family, &args.out)
    else {
        return Err("--train-family, --test-family and --out are needed: see --help".into());
    };
    if !(args.names.is_finite() && args.names >= 0.0) {
        return Err(format!("--names {} is not a weight: use 0 or more", args.names).into());
    }
    let models = args.model.load()?;
    let referee = match &args.referee {
        Some(folder) => Some(ModelDir::open(folder)?.load(&args.model.device.open()?)?),
        None => None,
    };
    let reward = match args.reward {
        RewardArg::Mse => Reward::paper(),
        RewardArg::Distance => Reward::nothing().plus(1.0, NegativeDistance),
    };
    let reward = if args.names == 0.0 { reward } else { reward.plus(args.names, NamesSaid) };
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
    print_result(args.common.json, &report, || {
        format!("{}\npage: {}", report.text([own, other]), out.join("index.html").display())
    })
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
