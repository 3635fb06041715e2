//! Trains a model by a recipe: on your own data, or from random weights.
//!
//! ```sh
//! talking-points train --data DIR --out runs/mine            # adapts the bundled model to your data
//! talking-points train --recipe scenes --out runs/scenes     # from random weights
//! ```
//!
//! Ctrl-C writes a checkpoint; the same call with `--resume` goes on from there.

mod args;

use std::error::Error;

use talking_points::{
    core::Seed,
    recipe::{Experiment, NetworkKind, Phase, Recipe, Start},
    train::stop_on_ctrl_c,
};

pub(crate) use self::args::Args;
use crate::{output::print_result, version::VERSION};

/// The steps that `--plan` measures in each phase.
const MEASURED_STEPS: u64 = 10;

pub(crate) fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let experiment = experiment(args)?;
    let device = args.device.open()?;
    if args.plan {
        let estimate = experiment.estimate(&device, MEASURED_STEPS)?;
        return print_result(args.common.json, &estimate, || estimate.to_string());
    }
    let stop = stop_on_ctrl_c()?;
    let report = experiment.run(&device, &stop)?;
    print_result(args.common.json, &report, || {
        format!("{report}\nmodel: {}", args.out.join("model").display())
    })
}

fn experiment(args: &Args) -> Result<Experiment, Box<dyn Error>> {
    if !(args.steps > 0.0 && args.steps <= 1.0) {
        return Err(format!(
            "--steps {} is not a share: use a number above 0 and at most 1",
            args.steps
        )
        .into());
    }
    let mut recipe = Recipe::named_or_read(&args.recipe)?;
    for data in &args.data {
        recipe.add_data(data)?;
    }
    recipe.phases = wanted(args, recipe.phases)?;
    let base = (recipe.network == NetworkKind::Base).then(|| args.base.clone());
    Ok(Experiment {
        recipe,
        without_families: args.without_family.clone(),
        start: Start {
            base,
            blocks: args.weights.blocks(),
            warm_start: args.warm_start.clone(),
            backbone: args.backbone.clone(),
            checkpoint: args.from.clone(),
            vision: args.vision.clone(),
        },
        step_share: args.steps,
        out: args.out.clone(),
        resume: args.resume,
        seed: Seed(args.common.seed),
        version: VERSION.clone(),
    })
}

/// The phases of the stage and of the names that are given.
fn wanted(args: &Args, phases: Vec<Phase>) -> Result<Vec<Phase>, String> {
    if let Some(unknown) =
        args.phase.iter().find(|name| phases.iter().all(|phase| phase.name != **name))
    {
        let known: Vec<_> = phases.iter().map(|phase| phase.name.as_str()).collect();
        return Err(format!("no phase is named {unknown}: there are {}", known.join(", ")));
    }
    let is_wanted = |phase: &Phase| {
        args.stage.has(phase.objective)
            && (args.phase.is_empty() || args.phase.contains(&phase.name))
    };
    let wanted: Vec<Phase> = phases.into_iter().filter(is_wanted).collect();
    if wanted.is_empty() {
        Err("the recipe has no phase of this stage".to_owned())
    } else {
        Ok(wanted)
    }
}
