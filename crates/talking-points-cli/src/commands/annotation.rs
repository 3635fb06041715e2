//! Describes the points of an annotated data set by rules alone, one JSON line per triplet.
//!
//! ```sh
//! talking-points data describe --coco annotations.json --images . --split test --limit 20
//! ```

use std::{
    error::Error,
    io::{self, Write},
    path::PathBuf,
};

use clap::ValueEnum;
use talking_points::{
    core::Seed,
    data::{CocoParts, RejectedCounts, RulesTeacher, Split, Strictness},
};

/// Describes the points of an annotated data set by rules alone, one JSON line per triplet.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A COCO-style annotation file with parts.
    #[arg(long)]
    coco: PathBuf,
    /// The folder that its file names are relative to.
    #[arg(long)]
    images: PathBuf,
    /// The side of the file's split to describe; all images by default.
    #[arg(long, value_enum)]
    split: Option<Side>,
    /// Stop after this many triplets.
    #[arg(long, allow_negative_numbers = true, default_value_t = usize::MAX, hide_default_value = true)]
    limit: usize,
    /// Refuse a file with a malformed record, instead of skipping the record.
    #[arg(long)]
    strict: bool,
    /// Has no effect: the output is JSON lines, one triplet per line, in any case.
    #[arg(long)]
    json: bool,
    /// The seed of every random choice.
    #[arg(long, allow_negative_numbers = true, default_value_t = 0)]
    seed: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum Side {
    Train,
    #[value(alias = "val")]
    Validation,
    Test,
}

pub(crate) fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let strictness = if args.strict { Strictness::Strict } else { Strictness::Lenient };
    let set = CocoParts::open(&args.coco, &args.images, strictness)?;
    let indices = indices(&set, args)?;
    let mut rejected = RejectedCounts::default();
    let mut written = 0;
    let mut out = io::stdout().lock();

    for &index in &indices {
        if written >= args.limit {
            break;
        }
        let annotation = set.load(index);
        let image = set.decode(&annotation)?;
        for described in RulesTeacher.in_turns(&image, &annotation, index, Seed(args.seed)) {
            match described {
                Ok(triplet) if written < args.limit => {
                    writeln!(out, "{}", serde_json::to_string(&triplet)?)?;
                    written += 1;
                }
                Ok(_) => break,
                Err(reason) => rejected.count(reason),
            }
        }
    }
    tracing::info!(
        "{written} triplets from {} images; rejected: {rejected}; faulty records: {:?}",
        indices.len(),
        set.skipped()
    );
    if written == 0 && args.limit > 0 {
        return Err(format!(
            "{} gives no triplet: {} images; rejected: {rejected}",
            args.coco.display(),
            indices.len()
        )
        .into());
    }
    Ok(())
}

/// The images to describe. Each keeps its number in the file, so its triplets are the same with and
/// without `--split`.
fn indices(set: &CocoParts, args: &Args) -> Result<Vec<usize>, String> {
    let split = match args.split {
        None => return Ok((0..set.len()).collect()),
        Some(Side::Train) => Split::Train,
        Some(Side::Validation) => Split::Val,
        Some(Side::Test) => Split::Test,
    };
    let indices: Vec<usize> = set.indices_of(split).collect();
    if indices.is_empty() {
        let [train, val, test] =
            [Split::Train, Split::Val, Split::Test].map(|split| set.indices_of(split).count());
        return Err(format!(
            "no image of {} is on the side that --split names: {train} are on train, {val} on validation, {test} on test and {} on none; \
             name another side, or leave --split out for all of them",
            args.coco.display(),
            set.len() - train - val - test
        ));
    }
    Ok(indices)
}
