//! Compares two systems on the same points, in one run or in several.
//!
//! ```sh
//! talking-points compare --a runs/*/points-other-family-after.jsonl --b runs/*/points-other-family-before.jsonl
//! ```
//!
//! The n-th file of `--a` is compared with the n-th of `--b`, then all together. `evaluate` and
//! `reinforce` write the files: one point per line. Points of one image are resampled together,
//! across runs, too.

use std::{error::Error, fmt::Write, path::PathBuf};

use talking_points::{
    core::{IS_LFS_POINTER, Seed, is_lfs_pointer},
    metrics::{
        Bootstrap, Paired, PairedMean, PairedRuns, PointRow, Protocol, RunComparison,
        rows_from_jsonl,
    },
};

use crate::{args::CommonArgs, output::print_result};

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
    let mut runs = RunComparison::new(Protocol::paper(), bootstrap);
    for (a, b) in args.a.iter().zip(&args.b) {
        runs.add(rows(a)?, rows(b)?)
            .map_err(|error| format!("{} and {}: {error}", a.display(), b.display()))?;
    }
    let compared = runs.finish()?;
    print_result(args.common.json, &compared, || text(&compared, args))
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
fn text(compared: &PairedRuns, args: &Args) -> String {
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
