//! Evaluates a model: the closed loop, its upper bound, and baselines that separate image evidence
//! from text priors.
//!
//! ```sh
//! talking-points evaluate --set scenes --points 400 --out runs/evaluation
//! ```

use std::{
    error::Error,
    path::{Path, PathBuf},
};

use clap::{
    ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use serde::Serialize;
use talking_points::{
    RunInfo,
    core::{Seed, Style},
    data::{DescribedPoints, ReadOptions, Split, TextKind},
    evaluation::{EvalSet, Judgement, NameAccuracy, RowName, WordAccuracy},
    metrics::BriefReport,
    recipe::Scenes,
};

use crate::cli::{self, CommonArgs, ModelArgs};

/// Evaluates a model: the closed loop, its upper bound, and baselines that separate image evidence
/// from text priors.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// `scenes`, a JSONL file of triplets beside its images, or a folder of points that people have
    /// described.
    #[arg(long, default_value = "scenes")]
    set: PathBuf,
    /// The split of the described points.
    #[arg(long, value_enum, default_value_t = SplitArg::Val)]
    split: SplitArg,
    /// The number of points on scenes, four per image.
    #[arg(long, allow_negative_numbers = true, default_value_t = 2000, value_parser = clap::value_parser!(u64).range(4..=1_000_000))]
    points: u64,
    /// The rows of the table; all of them by default.
    #[arg(long, value_delimiter = ',', value_parser = row_name())]
    rows: Vec<RowName>,
    /// The folder for the report, the points and the descriptions.
    #[arg(long)]
    out: PathBuf,
    #[command(flatten)]
    common: CommonArgs,
}

/// A split of described points.
#[derive(Clone, Copy, ValueEnum)]
enum SplitArg {
    Train,
    Val,
    All,
}

#[derive(Serialize)]
struct Printed {
    #[serde(flatten)]
    report: BriefReport,
    words: Option<WordAccuracy>,
    names: Option<NameAccuracy>,
    run: RunInfo,
}

pub(crate) fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let seed = Seed(args.common.seed);
    let models = args.model.load()?;
    let set = set(args, seed)?;
    let (rows, n_images) = (RowName::available(&args.rows, &set)?, set.images.len());
    let judged = Judgement::of(&models, &set, &rows, args.set.is_dir(), seed, |done| {
        if done % 25 == 0 || done == n_images {
            tracing::info!("{done} of {n_images} images");
        }
    })?;
    if let Err(leak) = judged.check_leak() {
        tracing::warn!("{leak}");
    }
    judged.save(&set, &args.out)?;
    let printed = Printed {
        report: judged.report.brief(),
        words: judged.words,
        names: judged.names,
        run: models.run.clone(),
    };
    cli::print_result(args.common.json, &printed, || {
        format!("{judged}\nreport: {}", args.out.join("report.md").display())
    })
}

/// The set that the arguments name: scenes, described points, or triplets.
fn set(args: &Args, seed: Seed) -> Result<EvalSet, Box<dyn Error>> {
    if args.set == Path::new("scenes") {
        let (n_images, style, seed) =
            (args.points / 4, Style::CoarseToFine, seed.split("test scenes"));
        return Ok(EvalSet::drawn("scenes", &Scenes::default(), n_images, 4, style, seed));
    }
    Ok(if args.set.is_dir() {
        let points = DescribedPoints::open(&args.set, ReadOptions::default())?;
        EvalSet::described(&points, args.split.into(), TextKind::Spoken)?
    } else {
        EvalSet::from_triplets(&args.set, args.set.parent().unwrap_or(Path::new(".")))?
    })
}

impl From<SplitArg> for Option<Split> {
    fn from(split: SplitArg) -> Self {
        match split {
            SplitArg::Train => Some(Split::Train),
            SplitArg::Val => Some(Split::Val),
            SplitArg::All => None,
        }
    }
}

/// Parses the name of a row, and lists all names in the help.
fn row_name() -> impl TypedValueParser<Value = RowName> {
    PossibleValuesParser::new(RowName::ALL.map(RowName::as_str))
        .try_map(|name| name.parse::<RowName>())
}
