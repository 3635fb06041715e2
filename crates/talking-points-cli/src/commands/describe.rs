//! Describes points of an image in words. The image is encoded once for all points.
//!
//! ```sh
//! talking-points describe --image photo.jpg --point 120,85 --point 40,60
//! ```

use std::{error::Error, path::PathBuf};

use clap::ValueEnum;
use serde::Serialize;
use talking_points::{
    core::{DescribeOptions, DescribePoint, PixelXy, PointName, UnitXy},
    data::{DecodeOptions, decode_image, read_points},
    descriptor::Wording,
};

use crate::{
    args::{CommonArgs, InferenceArgs},
    output::print_result,
};

/// Describes points of an image in words.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A JPEG, PNG or WebP file.
    #[arg(long)]
    image: PathBuf,
    /// Column and row of a point in pixels; may be given many times.
    #[arg(
        long,
        allow_hyphen_values = true,
        value_name = "X,Y",
        required_unless_present = "points"
    )]
    point: Vec<PixelXy>,
    /// A JSON file with a list of points: [{"x": 120, "y": 85}, …].
    #[arg(long, conflicts_with = "point")]
    points: Option<PathBuf>,
    /// In whose words points are asked about: by default those that the model was trained on.
    #[arg(long, value_enum)]
    wording: Option<WordingArg>,
    #[command(flatten)]
    model: InferenceArgs,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Clone, Copy, ValueEnum)]
enum WordingArg {
    /// Those of the adapters of Talking Points.
    TalkingPoints,
    /// The published base's for points: `There are some marks: Mark 1 <mark>.`
    BaseMark,
    /// The published base's for regions: `region1 <region>`.
    BaseRegion,
}

#[derive(Serialize)]
struct Described {
    image: String,
    points: Vec<DescribedPoint>,
}

#[derive(Serialize)]
struct DescribedPoint {
    x: f64,
    y: f64,
    description: String,
    log_prob: f64,
    name: Option<PointName>,
}

pub(crate) fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let pixels = match &args.points {
        Some(path) => read_points(path)?,
        None => args.point.clone(),
    };
    let image = decode_image(&args.image, &DecodeOptions::default())?;
    let points = pixels
        .iter()
        .map(|&pixel| image.size().unit_from_pixel(pixel))
        .collect::<Result<Vec<UnitXy>, _>>()?;

    let models = args.model.load()?;
    let descriptor = match args.wording {
        None => models.descriptor.clone(),
        Some(wording) => models.descriptor.clone().with_wording(match wording {
            WordingArg::TalkingPoints => Wording::TalkingPoints,
            WordingArg::BaseMark => Wording::BaseMark,
            WordingArg::BaseRegion => Wording::BaseRegion,
        }),
    };
    let encoded = models.encode(&image)?;
    let how = DescribeOptions { seed: args.common.seed, ..Default::default() };
    let descriptions = descriptor.describe(&encoded, &points, &how)?;

    let points = pixels
        .iter()
        .zip(descriptions)
        .map(|(pixel, description)| DescribedPoint {
            x: pixel.x,
            y: pixel.y,
            description: description.text,
            log_prob: description.log_prob,
            name: description.name,
        })
        .collect();
    let result = Described { image: args.image.display().to_string(), points };
    print_result(args.common.json, &result, || {
        result
            .points
            .iter()
            .map(|point| format!("({}, {})  {}", point.x, point.y, point.description))
            .collect::<Vec<_>>()
            .join("\n")
    })
}
