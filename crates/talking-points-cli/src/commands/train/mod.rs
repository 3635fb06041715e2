//! Trains a model: vision encoder, base, Descriptor and Localizer.
//!
//! ```sh
//! talking-points train --quick --out runs/quick
//! talking-points train --photographs data/livestock --out runs/tiny
//! ```
//!
//! Ctrl-C writes a checkpoint; the same call with `--resume` goes on from there.

mod args;

use std::error::Error;

use talking_points::{
    core::Seed,
    recipe::{
        Experiment, Material, SampleSettings, Start,
        plan::{self, Phase},
    },
    train::stop_on_ctrl_c,
};

pub(crate) use self::args::Args;
use crate::cli;

pub(crate) fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    if !(args.steps > 0.0 && args.steps <= 1.0) {
        return Err(format!(
            "--steps {} is not a share: use a number above 0 and at most 1",
            args.steps
        )
        .into());
    }
    let (phases, samples, swapped_share) = match (args.quick, &args.backbone) {
        (true, _) => (plan::quick(), SampleSettings::default(), 0.125),
        (false, Some(_)) => (plan::everyday(), SampleSettings::spoken(), 0.2),
        (false, None) => (plan::full(), SampleSettings::default(), 0.125),
    };
    let phases = wanted(args, phases)?;
    let shortened =
        |phase: Phase| Phase { steps: (phase.steps as f64 * args.steps).ceil() as u64, ..phase };
    let experiment = Experiment {
        material: Material {
            photographs: args.photographs.clone(),
            everyday: args.everyday.clone(),
            cutouts: args.cutouts.clone().zip(args.stamps.clone()),
            without_families: args.without_family.clone(),
        },
        phases: phases.into_iter().map(shortened).collect(),
        samples,
        swapped_share,
        start: Start {
            warm_start: args.warm_start.clone(),
            backbone: args.backbone.clone(),
            checkpoint: args.from.clone(),
            vision: args.eyes.clone(),
        },
        out: args.out.clone(),
        resume: args.resume,
        seed: Seed(args.common.seed),
    };
    let stop = stop_on_ctrl_c()?;
    let report = experiment.run(&args.device.open()?, &stop)?;
    cli::print_result(args.common.json, &report, || {
        format!("{report}\nmodel: {}", args.out.join("model").display())
    })
}

/// The phases of the stage and of the names that are given.
fn wanted(args: &Args, phases: Vec<Phase>) -> Result<Vec<Phase>, String> {
    if let Some(unknown) =
        args.phase.iter().find(|name| phases.iter().all(|phase| phase.name != name.as_str()))
    {
        let known: Vec<_> = phases.iter().map(|phase| phase.name).collect();
        return Err(format!("no phase is named {unknown}: there are {}", known.join(", ")));
    }
    let is_wanted = |phase: &Phase| {
        args.stage.has(phase.objective)
            && (args.phase.is_empty() || args.phase.iter().any(|name| name == phase.name))
    };
    Ok(phases.into_iter().filter(is_wanted).collect())
}
