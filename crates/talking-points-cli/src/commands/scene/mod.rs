//! Draws a procedural scene and says what is in it; or measures many of them.
//!
//! ```sh
//! talking-points data scene --seed 7 --out scene.png
//! talking-points data scene --statistics 500
//! ```

mod shown;

use std::{error::Error, path::PathBuf};

use talking_points::{
    core::{ImageHw, PixelXy, Seed, Style},
    data::{PointOptions, RulesTeacher, points_of_image, write_png},
    overlay::{Overlay, TRUE_POINT},
    scenes::{Scene, SceneOptions, SceneStatistics},
};

use self::shown::{Shown, ShownObject, ShownPoint};
use crate::{args::CommonArgs, output::print_result};

/// Draws a procedural scene and says what is in it; or measures many of them.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where the picture goes; small scenes are magnified to be looked at.
    #[arg(long, required_unless_present = "statistics")]
    out: Option<PathBuf>,
    /// Side of the scene in pixels.
    #[arg(long, allow_negative_numbers = true, default_value_t = 256, value_parser = clap::value_parser!(u32).range(64..=512))]
    size: u32,
    /// Measure this many scenes, from the seed on, instead of drawing one.
    #[arg(long, allow_negative_numbers = true, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    statistics: Option<u64>,
    /// Mark the points and write the first few descriptions.
    #[arg(long)]
    points: bool,
    #[command(flatten)]
    common: CommonArgs,
}

pub(crate) fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    if let Some(n) = args.statistics { measure(args, n) } else { show(args) }
}

fn measure(args: &Args, n: u64) -> Result<(), Box<dyn Error>> {
    let options = options(args)?;
    let scenes = (0..n).map(|index| Scene::generate(Seed(args.common.seed).nth(index), &options));
    let statistics = SceneStatistics::measure(scenes);
    print_result(args.common.json, &statistics, || statistics.to_string())
}

fn show(args: &Args) -> Result<(), Box<dyn Error>> {
    let seed = Seed(args.common.seed);
    let (image, annotation) = Scene::generate(seed, &options(args)?).into_parts();
    let targets =
        points_of_image(&image, &annotation, &PointOptions::default(), seed.split("points"));
    let teacher = RulesTeacher;
    let mut points = Vec::new();
    for (index, target) in targets.iter().enumerate() {
        // An ambiguous point has no description, and is not shown.
        let Ok(triplet) = teacher.triplet(
            &image,
            &annotation,
            target,
            Style::CoarseToFine,
            seed.split("words").nth(index as u64),
        ) else {
            continue;
        };
        let PixelXy { x, y } = target.point;
        points.push((
            triplet.point,
            ShownPoint { x, y, part: triplet.record.part, description: triplet.description },
        ));
    }

    if let Some(out) = &args.out {
        let mut overlay = Overlay::new(&image);
        if args.points {
            for (point, _) in &points {
                overlay.ring(*point, TRUE_POINT);
            }
            for (_, shown) in points.iter().take(3) {
                overlay.caption(
                    format!("({:.0}, {:.0}) {}", shown.x, shown.y, shown.description),
                    None,
                );
            }
        }
        write_png(out, &overlay.finish())?;
    }

    let objects = annotation.objects.iter().map(ShownObject::from).collect();
    let shown = Shown { objects, points: points.into_iter().map(|(_, point)| point).collect() };
    print_result(args.common.json, &shown, || {
        let names: Vec<_> = shown.objects.iter().map(|object| object.category.as_str()).collect();
        let lines: Vec<_> = shown
            .points
            .iter()
            .map(|point| format!("({:.0}, {:.0})  {}", point.x, point.y, point.description))
            .collect();
        format!("{}\n{}", names.join(", "), lines.join("\n"))
    })
}

fn options(args: &Args) -> Result<SceneOptions, Box<dyn Error>> {
    Ok(SceneOptions { size: ImageHw::new(args.size, args.size)?, ..Default::default() })
}
