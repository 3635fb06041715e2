//! Describes a point, locates it again from the description alone, and shows the error.
//!
//! ```sh
//! cargo run --example round_trip
//! cargo run --example round_trip -- --image photo.jpg --point 120,85 --out overlay.png
//! ```

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program prints")]

use std::{error::Error, path::PathBuf, process::ExitCode, time::Instant};

use clap::Parser;
use serde::Serialize;
use talking_points::{
    DeviceName, ModelDir, RoundTrip,
    core::{DescribeOptions, PixelXy},
    data::{DecodeOptions, decode_image, write_png},
    error_line,
};

/// Describes a point of an image, locates it again from the description alone, and shows the error.
#[derive(Parser)]
struct Args {
    /// A JPEG, PNG or WebP file.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/images/horse.jpg"), requires = "point")]
    image: PathBuf,
    /// Column and row of the point in pixels.
    #[arg(long, allow_hyphen_values = true, value_name = "X,Y")]
    point: Option<PixelXy>,
    /// A model folder.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/models/tiny"))]
    model: PathBuf,
    /// Output file for the picture of the round trip.
    #[arg(long, default_value = "round_trip.png")]
    out: PathBuf,
    /// Print a single JSON object on standard output.
    #[arg(long)]
    json: bool,
    /// The device: flex; libtorch and cuda need the Cargo feature of the same name.
    #[arg(long, default_value = "flex")]
    device: DeviceName,
    /// The seed of every random choice.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// A point on the bundled photograph.
const BUNDLED_POINT: PixelXy = PixelXy { x: 300.0, y: 130.0 };

#[derive(Serialize)]
struct Shown<'a> {
    image: String,
    #[serde(flatten)]
    trip: &'a RoundTrip,
    device: &'a str,
    model: &'a str,
}

fn main() -> ExitCode {
    match round_trip(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", error_line(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn round_trip(args: &Args) -> Result<(), Box<dyn Error>> {
    let image = decode_image(&args.image, &DecodeOptions::default())?;
    let point = args.point.unwrap_or(BUNDLED_POINT);
    image.size().unit_from_pixel(point)?; // before the model is loaded

    let before = Instant::now();
    let models = ModelDir::open(&args.model)?.load(&args.device.open()?)?;
    let load = before.elapsed().as_secs_f64();
    let how = DescribeOptions { seed: args.seed, ..Default::default() };
    let mut trip = RoundTrip::run(&models, &image, point, &how)?;
    trip.seconds.load = Some(load);
    write_png(&args.out, &trip.picture(&image))?;

    if args.json {
        let (device, model) = (&models.run.device, &models.run.model);
        println!(
            "{}",
            serde_json::to_string(&Shown {
                image: args.image.display().to_string(),
                trip: &trip,
                device,
                model
            })?
        );
    } else {
        println!("{}\npicture: {}", trip.as_text(&models.run), args.out.display());
    }
    Ok(())
}
