//! The flags of `evaluate`.

use std::path::{Path, PathBuf};

use clap::{
    ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use talking_points::{
    core::Seed,
    data::Split,
    evaluation::{EvalSet, RowName},
    recipe::RecipeError,
};

use crate::args::{CommonArgs, InferenceArgs};

/// Evaluates a model: the closed loop, its upper bound, and baselines that separate image evidence
/// from text priors.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(super) model: InferenceArgs,
    /// `scenes`, a JSONL file of triplets beside its images, a data set that `data build` has made, or a
    /// folder of described points (`labels.jsonl`) or of annotated images (`annotations.json`).
    #[arg(long, default_value = "scenes")]
    pub(super) set: PathBuf,
    /// The split of the described points.
    #[arg(long, value_enum, default_value_t = SplitArg::Val)]
    split: SplitArg,
    /// The number of points on scenes, four per image.
    #[arg(long, allow_negative_numbers = true, default_value_t = 2000, value_parser = clap::value_parser!(u64).range(4..=1_000_000))]
    points: u64,
    /// The rows of the table; all of them by default.
    #[arg(long, value_delimiter = ',', value_parser = row_name())]
    pub(super) rows: Vec<RowName>,
    /// The folder for the report, the points and the descriptions.
    #[arg(long)]
    pub(super) out: PathBuf,
    #[command(flatten)]
    pub(super) common: CommonArgs,
}

/// A split of described points.
#[derive(Clone, Copy, ValueEnum)]
enum SplitArg {
    Train,
    Val,
    All,
}

impl Args {
    /// The set that the arguments name: scenes, described points, or triplets.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or has no points.
    pub(super) fn open_set(&self, seed: Seed) -> Result<EvalSet, RecipeError> {
        if self.set == Path::new("scenes") {
            Ok(EvalSet::test_scenes(self.points, seed))
        } else {
            EvalSet::open(&self.set, self.split.into())
        }
    }
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
