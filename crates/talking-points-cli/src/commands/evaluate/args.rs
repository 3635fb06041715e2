//! The flags of `evaluate`.

use std::path::{Path, PathBuf};

use clap::{
    ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use talking_points::{
    Error,
    core::Seed,
    data::Split,
    evaluation::{EvalSet, EvaluationError, MaskSigma, RowName},
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
    /// The rows of the table; by default all of them for which there is material.
    #[arg(long, value_delimiter = ',', value_parser = row_name())]
    rows: Vec<RowName>,
    /// Texts of people or of another model, one for each point of the set, for the row `texts`: JSON lines
    /// {"image": …, "x": …, "y": …, "text": …} with the image's name in the set and the point in pixels. The file
    /// `texts-reference.jsonl` of any evaluation of the set has this form.
    #[arg(long, value_name = "FILE")]
    texts: Option<PathBuf>,
    /// More rows: the closed loop with these widths of the Gaussian mask at test time, as fractions of the side of the
    /// model's input; each becomes a row `ours-sigma-…`.
    #[arg(long, value_delimiter = ',', value_name = "WIDTH")]
    sigma: Vec<MaskSigma>,
    /// The folder for the page `index.html`, the report, the points and the texts.
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
    /// The set that the arguments name, scenes, described points, or triplets, with the other texts
    /// about it.
    ///
    /// # Errors
    ///
    /// If it cannot be read, has no points, or the texts do not fit it.
    pub(super) fn open_set(&self, seed: Seed) -> Result<EvalSet, Error> {
        let mut set = if self.set == Path::new("scenes") {
            EvalSet::test_scenes(self.points, seed)
        } else {
            EvalSet::open(&self.set, self.split.into())?
        };
        if let Some(texts) = &self.texts {
            set.read_texts(texts)?;
        }
        Ok(set)
    }

    /// The rows that are asked for, by name, by texts or by widths of the mask.
    ///
    /// # Errors
    ///
    /// If the set cannot fill one of them.
    pub(super) fn open_rows(&self, set: &EvalSet) -> Result<Vec<RowName>, EvaluationError> {
        let mut rows = RowName::available(&self.rows, set)?;
        if self.texts.is_some() && !rows.contains(&RowName::Texts) {
            rows.push(RowName::Texts);
        }
        rows.extend(self.sigma.iter().map(|&sigma| RowName::OursAtSigma(sigma)));
        Ok(rows)
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
