//! Counts the contents of a data set on disk, and lists missing files with their expected paths.
//!
//! ```sh
//! talking-points data inspect --format coco-parts --root DIR --json
//! ```

use std::{error::Error, path::PathBuf};

use serde::Serialize;
use talking_points::data::{DatasetFormat, DatasetSummary, ImageFiles, ReadOptions, Strictness};

use crate::{args::CommonArgs, output::print_result};

/// Counts the contents of a data set on disk, and lists missing files with their expected paths.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// One of pascal-part-116, ade20k-part-234, part-imagenet, ap10k, coco-keypoints, coco-parts,
    /// pascal-part-mat, ade20k-full, described-points.
    #[arg(long)]
    format: DatasetFormat,
    /// The data set's folder, or one above it.
    #[arg(long)]
    root: PathBuf,
    /// Skip and count malformed entries instead of stopping at the first.
    #[arg(long)]
    lenient: bool,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Serialize)]
struct Inspected {
    format: DatasetFormat,
    #[serde(flatten)]
    summary: DatasetSummary,
}

pub(crate) fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let strictness = if args.lenient { Strictness::Lenient } else { Strictness::Strict };
    // Annotations are counted whether their images were downloaded or not; the checks tell.
    let dataset =
        args.format.open(&args.root, ReadOptions { strictness, images: ImageFiles::NotNeeded })?;
    let inspected =
        Inspected { format: args.format, summary: DatasetSummary::of(dataset.as_ref())? };
    print_result(args.common.json, &inspected, || table(&inspected))
}

fn table(Inspected { format, summary }: &Inspected) -> String {
    let DatasetSummary { images, objects, parts, keypoints, categories, part_categories, .. } =
        summary;
    let mut lines = vec![
        format!("{format}: {images} images"),
        format!("{objects} objects of {categories} categories"),
        format!("{parts} parts of {part_categories} categories"),
        format!("{keypoints} keypoints, {} of them visible", summary.visible_keypoints),
    ];
    for check in &summary.checks {
        let first = check
            .missing
            .first()
            .map(|missing| format!(", the first missing one: {missing}"))
            .unwrap_or_default();
        let place = check.place.display();
        lines.push(format!(
            "{}: {} of {} in {place}{first}",
            check.name, check.found, check.expected
        ));
    }
    lines.extend(summary.interpreted.lines());
    lines.push(format!("left out: {}", summary.skipped));
    lines.extend(summary.warnings.iter().map(|warning| format!("warning: {warning}")));
    lines.join("\n")
}
