//! Compares two systems on the same points, in one run or in several.
//!
//! ```sh
//! talking-points compare --a runs/*/points-other-family-after.jsonl --b runs/*/points-other-family-before.jsonl
//! ```
//!
//! The n-th file of `--a` is compared with the n-th of `--b`, then all together. `evaluate` and
//! `reinforce` write the files: one point per line. Points of one image are resampled together,
//! across runs, too.

use std::{
    error::Error,
    fmt::{Display, Write},
    path::PathBuf,
};

use serde::Serialize;
use talking_points::{
    core::{IS_LFS_POINTER, Seed, is_lfs_pointer},
    metrics::{Bootstrap, Paired, PairedMean, PointRow, Protocol, paired, rows_from_jsonl},
};

use crate::cli::{self, CommonArgs};

/// Compares two systems on the same points.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The points of system A, one file per run.
    #[arg(long, required = true, num_args = 1..)]
    a: Vec<PathBuf>,
    /// The points of system B, in the same order.
    #[arg(long, required = true, num_args = 1..)]
    b: Vec<PathBuf>,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Serialize)]
struct Compared {
    runs: Vec<Paired>,
    /// The mean of the differences in mPCK over the runs.
    mean_of_runs: Option<f64>,
    together: Paired,
}

pub(crate) fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    if args.a.len() != args.b.len() {
        return Err(format!(
            "--a names {} files and --b {}: every run needs one of each",
            args.a.len(),
            args.b.len()
        )
        .into());
    }
    let bootstrap = Bootstrap::new(Seed(args.common.seed));
    let (mut runs, mut all_a, mut all_b) = (Vec::new(), Vec::new(), Vec::new());
    for (number, (a, b)) in args.a.iter().zip(&args.b).enumerate() {
        let (rows_a, rows_b) = (rows(a)?, rows(b)?);
        let of_files =
            |error: &dyn Display| format!("{} and {}: {error}", a.display(), b.display());
        let run = paired(&rows_a, &rows_b, &Protocol::paper(), &bootstrap)
            .map_err(|error| of_files(&error))?;
        if run.n == 0 {
            return Err(of_files(&"none of their points is of a kind that the protocol counts, so there is nothing to compare").into());
        }
        runs.push(run);
        // The same point in two runs is two answers; its image is one image.
        let numbered = |rows: Vec<PointRow>| {
            rows.into_iter()
                .map(move |row| PointRow { point: format!("{number}:{}", row.point), ..row })
        };
        all_a.extend(numbered(rows_a));
        all_b.extend(numbered(rows_b));
    }
    let differences: Vec<f64> = runs.iter().filter_map(|run| run.mpck.difference).collect();
    let mean_of_runs = (!differences.is_empty())
        .then(|| differences.iter().sum::<f64>() / differences.len() as f64);
    let compared = Compared {
        runs,
        mean_of_runs,
        together: paired(&all_a, &all_b, &Protocol::paper(), &bootstrap)?,
    };
    cli::print_result(args.common.json, &compared, || text(&compared, args))
}

fn rows(file: &PathBuf) -> Result<Vec<PointRow>, Box<dyn Error>> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    if is_lfs_pointer(text.as_bytes()) {
        return Err(format!("{} {IS_LFS_POINTER}", file.display()).into());
    }
    let rows = rows_from_jsonl(&text).map_err(|error| format!("{}, {error}", file.display()))?;
    if rows.is_empty() {
        Err(format!("{} holds no points: one JSON line a point is expected", file.display()).into())
    } else {
        Ok(rows)
    }
}

/// The comparison as text.
fn text(compared: &Compared, args: &Args) -> String {
    let mut text = String::new();
    for (run, file) in compared.runs.iter().zip(&args.a) {
        let _ = writeln!(text, "{}\n    {}", file.display(), line(run));
    }
    if compared.runs.len() > 1 {
        let mean = compared.mean_of_runs.map_or("–".to_owned(), |mean| format!("{mean:+.2}"));
        let _ =
            writeln!(text, "together, mean of the runs {mean}\n    {}", line(&compared.together));
    }
    text.trim_end().to_owned()
}

fn line(run: &Paired) -> String {
    let PairedMean { a, b, difference, ci, smallest_detectable, .. } = &run.mpck;
    let number =
        |value: &Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.2}"));
    format!(
        "mPCK {} → {}, difference {} {}, smallest detectable {}; {} points on {} images",
        number(b),
        number(a),
        difference.map_or("–".to_owned(), |difference| format!("{difference:+.2}")),
        ci.map_or("[–]".to_owned(), |ci| format!("[{:+.2}, {:+.2}]", ci.lo, ci.hi)),
        number(smallest_detectable),
        run.n,
        run.n_images
    )
}
