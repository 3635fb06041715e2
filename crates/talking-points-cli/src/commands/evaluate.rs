//! Judges a model: the closed loop, its ceiling, and the controls that tell seeing from reading.
//!
//! ```sh
//! talking-points evaluate --set scenes --points 400 --out runs/evaluation
//! ```

use std::{
    error::Error,
    io::Write,
    path::{Path, PathBuf},
};

use clap::ValueEnum;
use serde::Serialize;
use talking_points::{
    RunInfo,
    core::{DescribeOptions, Seed, Style, write_atomically},
    data::{DescribedPoints, ReadOptions, Split, TextKind},
    evaluation::{
        EvalSet, NameAccuracy, RowName, Rows, WordAccuracy, WordsOnly, evaluate_rows,
        name_accuracy, point_rows, word_accuracy,
    },
    metrics::{Bootstrap, BriefReport, EvalReport, Protocol, rows_to_jsonl},
    recipe::Scenes,
};

use crate::cli::{self, CommonArgs, ModelArgs};

/// Judges a model: the closed loop, its ceiling, and the controls that tell seeing from reading.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// `scenes`, a JSONL file of triplets whose images lie beside it, or a folder of points that
    /// people have described.
    #[arg(long, default_value = "scenes")]
    set: PathBuf,
    /// The split of described points that is judged.
    #[arg(long, value_enum, default_value_t = SplitArg::Val)]
    split: SplitArg,
    /// How many points of scenes, four to an image.
    #[arg(long, allow_negative_numbers = true, default_value_t = 2000, value_parser = clap::value_parser!(u64).range(4..=1_000_000))]
    points: u64,
    /// The rows of the table; all if none is named.
    #[arg(long, value_delimiter = ',')]
    rows: Vec<Row>,
    /// Where the report, the points and the descriptions go.
    #[arg(long)]
    out: PathBuf,
    #[command(flatten)]
    common: CommonArgs,
}

/// Which described points are judged.
#[derive(Clone, Copy, ValueEnum)]
enum SplitArg {
    Train,
    Val,
    All,
}

/// The names of [`RowName`] on the command line.
#[derive(Clone, Copy, ValueEnum)]
enum Row {
    Reference,
    ReferenceRegress,
    Ours,
    OursWithoutMask,
    WordsOnly,
    ImageOnly,
    WrongImage,
    Shuffled,
    Centre,
}

#[derive(Serialize)]
struct Judged {
    #[serde(flatten)]
    report: BriefReport,
    words: Option<WordAccuracy>,
    names: Option<NameAccuracy>,
    run: RunInfo,
}

pub(crate) fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let seed = Seed(args.common.seed);
    let device = args.model.device.open()?;
    let models = args.model.load()?;
    let set = if args.set == Path::new("scenes") {
        EvalSet::drawn(
            "scenes",
            &Scenes::default(),
            args.points / 4,
            4,
            Style::CoarseToFine,
            seed.split("test scenes"),
        )
    } else if args.set.is_dir() {
        let split = match args.split {
            SplitArg::Train => Some(Split::Train),
            SplitArg::Val => Some(Split::Val),
            SplitArg::All => None,
        };
        EvalSet::described(
            &DescribedPoints::open(&args.set, ReadOptions::default())?,
            split,
            TextKind::Spoken,
        )?
    } else {
        EvalSet::from_triplets(&args.set, args.set.parent().unwrap_or(Path::new(".")))?
    };
    if set.upright_images > 0 {
        tracing::info!(
            "{} images are annotated in their EXIF orientation, and are used in it",
            set.upright_images
        );
    }
    if set.n_points() == 0 {
        return Err(
            format!("{} contains no points, so there is nothing to evaluate", set.name).into()
        );
    }
    let wanted = wanted(args, &set)?;
    std::fs::create_dir_all(&args.out)
        .map_err(|error| format!("cannot create {}: {error}", args.out.display()))?;

    // The baseline without the image is fitted to scenes outside the test set.
    let words_only = wanted.contains(&RowName::WordsOnly).then(|| {
        let training = EvalSet::drawn(
            "training",
            &Scenes::default(),
            3000,
            8,
            Style::CoarseToFine,
            seed.split("training scenes"),
        );
        let examples: Vec<_> =
            training.points().map(|(_, point)| (point.record.clone(), point.point)).collect();
        WordsOnly::fit(&examples, &device, seed)
    });
    let how = DescribeOptions { max_new_tokens: 96, seed: args.common.seed, ..Default::default() };
    let n_images = set.images.len();
    let rows = evaluate_rows(&models, &set, &wanted, words_only.as_ref(), &how, |done| {
        if done % 25 == 0 || done == n_images {
            tracing::info!("{done} of {n_images} images");
        }
    })?;

    let report = reported(&set, &rows, seed)?;
    let [shuffled, image_only] = [RowName::Shuffled, RowName::ImageOnly];
    if wanted.contains(&shuffled)
        && wanted.contains(&image_only)
        && let Err(leak) = report.check_leak(&shuffled.to_string(), &image_only.to_string())
    {
        tracing::warn!("{leak}");
    }
    let is_described = args.set.is_dir();
    let named =
        rows.descriptions.iter().zip(set.points()).map(|(text, (_, point))| (text.as_str(), point));
    let names = (is_described && !rows.descriptions.is_empty()).then(|| name_accuracy(named));
    let said = rows
        .descriptions
        .iter()
        .zip(set.points())
        .map(|(text, (_, point))| (text.as_str(), &point.record));
    let words = (!is_described && !rows.descriptions.is_empty()).then(|| word_accuracy(said));
    save(&args.out, &set, &rows, &report)?;

    let judged = Judged { report: report.brief(), words, names, run: models.run.clone() };
    cli::print_result(args.common.json, &judged, || {
        let words =
            judged.words.map_or_else(String::new, |words| format!("\nwords, % right: {words}\n"));
        let names =
            judged.names.map_or_else(String::new, |names| format!("\nnames, % right: {names}\n"));
        format!(
            "{}{words}{names}\nreport: {}",
            report.to_text(),
            args.out.join("report.md").display()
        )
    })
}

/// The rows that are asked for; of all of them, those that the set has images enough for.
fn wanted(args: &Args, set: &EvalSet) -> Result<Vec<RowName>, String> {
    let named: Vec<RowName> = args.rows.iter().map(|&row| row.into()).collect();
    let has_images = |row: &RowName| {
        set.images.len() > 1
            || !matches!(row, RowName::ImageOnly | RowName::WrongImage | RowName::Shuffled)
    };
    match named.iter().find(|row| !has_images(row)) {
        Some(row) => Err(format!(
            "the row {row} needs texts or pixels of another image, and {} contains one image",
            set.name
        )),
        None if named.is_empty() => Ok(RowName::ALL.into_iter().filter(has_images).collect()),
        None => Ok(named),
    }
}

/// Every row against every other that it is worth comparing with.
fn reported(set: &EvalSet, rows: &Rows, seed: Seed) -> Result<EvalReport, Box<dyn Error>> {
    let mut report = EvalReport::new(set.name.clone(), Protocol::paper(), Bootstrap::new(seed));
    let points: Vec<_> =
        rows.answers.iter().map(|(&row, answers)| (row, point_rows(set, answers))).collect();
    for (row, points) in &points {
        report.add(row.to_string(), points)?;
    }
    let of = |name: RowName| {
        points.iter().find(|(row, _)| *row == name).map(|(_, points)| points.as_slice())
    };
    let pairs = [
        (RowName::Reference, RowName::WordsOnly),
        (RowName::Ours, RowName::Reference),
        (RowName::OursWithoutMask, RowName::Ours),
        (RowName::Shuffled, RowName::ImageOnly),
    ];
    for (a, b) in pairs {
        if let (Some(points_a), Some(points_b)) = (of(a), of(b)) {
            report.add_pair((&a.to_string(), points_a), (&b.to_string(), points_b))?;
        }
    }
    Ok(report)
}

/// Everything from which the report can be computed again.
fn save(out: &Path, set: &EvalSet, rows: &Rows, report: &EvalReport) -> Result<(), Box<dyn Error>> {
    let write = |name: String, text: String| {
        write_atomically(&out.join(name), |file| file.write_all(text.as_bytes()))
    };
    write("report.md".into(), report.to_markdown())?;
    write("report.json".into(), serde_json::to_string_pretty(report)?)?;
    for (row, answers) in &rows.answers {
        write(
            format!("points-{row}.jsonl"),
            rows_to_jsonl(&point_rows(set, answers), &Protocol::paper())?,
        )?;
    }
    if !rows.descriptions.is_empty() {
        let pairs = set
            .points()
            .zip(&rows.descriptions)
            .map(|((_, point), ours)| format!("{}\t{ours}\n", point.description));
        write("descriptions.tsv".into(), pairs.collect())?;
    }
    Ok(())
}

impl From<Row> for RowName {
    fn from(row: Row) -> Self {
        match row {
            Row::Reference => Self::Reference,
            Row::ReferenceRegress => Self::ReferenceRegress,
            Row::Ours => Self::Ours,
            Row::OursWithoutMask => Self::OursWithoutMask,
            Row::WordsOnly => Self::WordsOnly,
            Row::ImageOnly => Self::ImageOnly,
            Row::WrongImage => Self::WrongImage,
            Row::Shuffled => Self::Shuffled,
            Row::Centre => Self::Centre,
        }
    }
}
