//! Trains the tiny model: the vision model, the base, the Descriptor, the Localizer.
//!
//! ```sh
//! talking-points train --quick --out runs/quick
//! talking-points train --photographs data/livestock --out runs/tiny
//! ```
//!
//! Ctrl-C writes a checkpoint; the same call with `--resume` goes on from there.

use std::{error::Error, path::PathBuf};

use clap::ValueEnum;
use talking_points::{
    core::Seed,
    recipe::{
        Experiment, ExperimentReport, Material, Objective, SampleSettings, Start,
        plan::{self, Phase},
    },
    train::stop_on_ctrl_c,
};

use crate::cli::{self, CommonArgs, DeviceArgs};

/// Trains the tiny model: the eyes, the base, the Descriptor, the Localizer.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Twenty minutes on scenes alone.
    #[arg(long)]
    quick: bool,
    /// Train one stage alone; later stages start from the newest checkpoint of the one before.
    #[arg(long, value_enum, default_value_t = StageArg::All)]
    stage: StageArg,
    /// Train this phase alone, e.g. `0-names` (`docs/training.md`); may be given many times.
    #[arg(long, value_name = "NAME", conflicts_with = "stage")]
    phase: Vec<String>,
    /// Go on from the newest checkpoints in the folder.
    #[arg(long)]
    resume: bool,
    /// Start from these weights (a `model.bpk` of an earlier run) instead of random ones.
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Start with the eyes of this model folder, and skip the stage that opens them.
    #[arg(long, value_name = "DIR", conflicts_with = "from")]
    eyes: Option<PathBuf>,
    /// A share of every phase's steps: for trials.
    #[arg(long, allow_negative_numbers = true, value_name = "SHARE", default_value_t = 1.0)]
    steps: f64,
    /// A folder with `annotations.json` and its photographs, whose names the eyes learn densely;
    /// may be given many times.
    #[arg(long, value_name = "DIR")]
    photographs: Vec<PathBuf>,
    /// The published weights of EfficientNet-Lite0 (`.pth` or safetensors): the model then knows
    /// everyday things and names points.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["quick", "eyes"])]
    backbone: Option<PathBuf>,
    /// A folder of described points, or of photographs with `annotations.json`, whose nouns are
    /// those of everyday; may be given many times.
    #[arg(long, value_name = "DIR", requires = "backbone")]
    everyday: Vec<PathBuf>,
    /// The labels of cut-outs (`labels.jsonl`), which are put on the photographs of `--everyday`.
    #[arg(long, value_name = "FILE", requires = "stamps")]
    cutouts: Option<PathBuf>,
    /// The folder of their pictures, which `tools/cutouts.sh` prints.
    #[arg(long, value_name = "DIR", requires = "cutouts")]
    stamps: Option<PathBuf>,
    /// Start with what another model has learned, wherever a weight has a place and the same shape;
    /// what `--from` has counts more.
    #[arg(long, value_name = "DIR", conflicts_with = "eyes")]
    warm_start: Option<PathBuf>,
    /// Neither scenes nor photographs show this family; may be given many times. Its words stay in
    /// the vocabulary.
    #[arg(long, value_name = "FAMILY")]
    without_family: Vec<String>,
    /// Where logs, checkpoints and the model go.
    #[arg(long)]
    out: PathBuf,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum StageArg {
    /// Eyes and base.
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

pub(crate) fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    if !(args.steps > 0.0 && args.steps <= 1.0) {
        return Err(format!(
            "--steps {} is no share: give a number above 0, at most 1",
            args.steps
        )
        .into());
    }
    let (phases, samples, swapped_share) = match (args.quick, &args.backbone) {
        (true, _) => (plan::quick(), SampleSettings::default(), 0.125),
        (false, Some(_)) => (plan::everyday(), SampleSettings::spoken(), 0.2),
        (false, None) => (plan::full(), SampleSettings::default(), 0.125),
    };
    if let Some(unknown) =
        args.phase.iter().find(|name| phases.iter().all(|phase| phase.name != name.as_str()))
    {
        let known: Vec<_> = phases.iter().map(|phase| phase.name).collect();
        return Err(format!("no phase is named {unknown}: there are {}", known.join(", ")).into());
    }
    let is_wanted = |phase: &Phase| {
        args.stage.has(phase.objective)
            && (args.phase.is_empty() || args.phase.iter().any(|name| name == phase.name))
    };
    let shortened =
        |phase: Phase| Phase { steps: (phase.steps as f64 * args.steps).ceil() as u64, ..phase };
    let experiment = Experiment {
        material: Material {
            photographs: args.photographs.clone(),
            everyday: args.everyday.clone(),
            cutouts: args.cutouts.clone().zip(args.stamps.clone()),
            without_families: args.without_family.clone(),
        },
        phases: phases.into_iter().filter(is_wanted).map(shortened).collect(),
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
    cli::print_result(args.common.json, &report, || text(&report, args))
}

fn text(report: &ExperimentReport, args: &Args) -> String {
    let line = |phase: &_| {
        let talking_points::recipe::PhaseReport { name, steps, loss, seconds, .. } = phase;
        format!("{name}: {steps} steps, loss {loss:.3}, {seconds:.0} s")
    };
    format!(
        "{}\nmPCK {:.1} with the right descriptions, {:.1} with its own, {:.1} with shuffled ones, after {}\nmodel: {}",
        report.phases.iter().map(line).collect::<Vec<_>>().join("\n"),
        report.mpck,
        report.mpck_ours,
        report.mpck_shuffled,
        report.shipped,
        args.out.join("model").display()
    )
}

impl StageArg {
    /// Whether the stage has phases of this objective.
    fn has(self, objective: Objective) -> bool {
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
