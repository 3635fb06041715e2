//! Describes the points of an annotated data set by rules alone: one JSON line a triplet.
//!
//! ```sh
//! cargo run --example describe_annotation -- --coco annotations.json --images . --limit 20
//! ```

use std::{
    error::Error,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::Parser;
use talking_points::{
    cli::{self, CommonArgs},
    core::{Seed, Style},
    data::{CocoParts, PointOptions, RejectedCounts, RulesTeacher, Strictness, points_of_image},
};

#[derive(Parser)]
#[command(about = "Describes the points of an annotated data set by rules alone: one JSON line a triplet")]
struct Args {
    /// A COCO-style annotation file with parts.
    #[arg(long)]
    coco: PathBuf,
    /// The folder that its file names start from.
    #[arg(long)]
    images: PathBuf,
    /// Stop after this many triplets.
    #[arg(long, default_value_t = usize::MAX, hide_default_value = true)]
    limit: usize,
    /// Refuse a file with any faulty record, instead of passing the record over.
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    common: CommonArgs,
}

fn main() -> ExitCode {
    let args = Args::parse();
    cli::run(|| describe(&args))
}

fn describe(args: &Args) -> Result<(), Box<dyn Error>> {
    args.common.device.open()?;
    let strictness = if args.strict { Strictness::Strict } else { Strictness::Lenient };
    let set = CocoParts::open(&args.coco, &args.images, strictness)?;
    let teacher = RulesTeacher;
    let mut rejected = RejectedCounts::default();
    let mut written = 0;
    let mut out = io::stdout().lock();

    for index in 0..set.len() {
        if written >= args.limit {
            break;
        }
        let seed = Seed(args.common.seed).nth(index as u64);
        let annotation = set.load(index);
        let image = set.decode(&annotation)?;
        let targets = points_of_image(&image, &annotation, &PointOptions::default(), seed.split("points"));
        for (at, target) in targets.iter().enumerate() {
            let style = Style::ALL[(index + at) % Style::ALL.len()];
            match teacher.triplet(&image, &annotation, target, style, seed.split("words").nth(at as u64)) {
                Ok(triplet) if written < args.limit => {
                    writeln!(out, "{}", serde_json::to_string(&triplet)?)?;
                    written += 1;
                }
                Ok(_) => break,
                Err(reason) => rejected.count(reason),
            }
        }
    }
    tracing::info!("{written} triplets from {} images; rejected: {rejected}; faulty records: {:?}", set.len(), set.skipped());
    Ok(())
}
