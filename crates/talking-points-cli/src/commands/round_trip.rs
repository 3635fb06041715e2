//! Describes a point, finds it again from the words alone, and shows the distance between the two.

use std::{error::Error, path::PathBuf, time::Instant};

use serde::Serialize;
use talking_points::{
    RoundTrip,
    core::{DescribeOptions, PixelXy},
    data::{DecodeOptions, decode_image, write_png},
};

use crate::{
    args::{CommonArgs, InferenceArgs},
    output::print_result,
};

/// Describes a point of an image, finds it again from the words alone, and shows the distance
/// between the two.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A JPEG, PNG or WebP file.
    #[arg(long)]
    image: PathBuf,
    /// Column and row of the point in pixels.
    #[arg(long, allow_hyphen_values = true, value_name = "X,Y")]
    point: PixelXy,
    /// The picture to write.
    #[arg(long, default_value = "round_trip.png")]
    out: PathBuf,
    #[command(flatten)]
    model: InferenceArgs,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Serialize)]
struct Shown<'a> {
    image: String,
    #[serde(flatten)]
    trip: &'a RoundTrip,
    device: &'a str,
    model: &'a str,
}

pub(crate) fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let image = decode_image(&args.image, &DecodeOptions::default())?;
    image.size().unit_from_pixel(args.point)?; // before the model is loaded

    let before = Instant::now();
    let models = args.model.load()?;
    let load = before.elapsed().as_secs_f64();
    let how = DescribeOptions { seed: args.common.seed, ..Default::default() };
    let mut trip = RoundTrip::run(&models, &image, args.point, &how)?;
    trip.seconds.load = Some(load);
    write_png(&args.out, &trip.picture(&image))?;

    let (device, model) = (&models.run.device[..], &models.run.model[..]);
    let shown = Shown { image: args.image.display().to_string(), trip: &trip, device, model };
    print_result(args.common.json, &shown, || {
        format!("{}\npicture: {}", trip.as_text(&models.run), args.out.display())
    })
}
