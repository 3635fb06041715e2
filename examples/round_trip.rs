//! Describes a point, finds it again from the words alone, and shows how far off it was.
//!
//! ```sh
//! cargo run --example round_trip
//! cargo run --example round_trip -- --image photo.jpg --point 120,85 --out overlay.png
//! ```

use std::{error::Error, path::PathBuf, process::ExitCode, time::Instant};

use clap::Parser;
use serde::Serialize;
use talking_points::{
    ModelDir,
    cli::{self, CommonArgs, PointArg},
    core::{DescribeOptions, DescribePoint, LocalizePoint, PixelXy},
    data::{DecodeOptions, decode_image, write_png},
    overlay::{FOUND_POINT, Overlay, TRUE_POINT},
};

#[derive(Parser)]
#[command(about = "Describes a point of an image, finds it again from the words alone, and shows how far off it was")]
struct Args {
    /// A JPEG, PNG or WebP file.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/images/horse.jpg"), requires = "point")]
    image: PathBuf,
    /// Column and row of the point in pixels.
    #[arg(long, allow_hyphen_values = true, value_name = "X,Y")]
    point: Option<PointArg>,
    /// A model folder.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/models/tiny"))]
    model: PathBuf,
    /// Where the picture of the round trip goes.
    #[arg(long, default_value = "round_trip.png")]
    out: PathBuf,
    #[command(flatten)]
    common: CommonArgs,
}

/// A point on the bundled photograph.
const BUNDLED_POINT: PixelXy = PixelXy { x: 300.0, y: 130.0 };

#[derive(Serialize)]
struct RoundTrip {
    image: String,
    width: u32,
    height: u32,
    point: PixelXy,
    description: String,
    located: Option<PixelXy>,
    confidence: Option<f32>,
    error_px: Option<f64>,
    error_unit: Option<f64>,
    device: String,
    model: String,
    seconds: Seconds,
}

#[derive(Serialize)]
struct Seconds {
    load: f64,
    encode: f64,
    describe: f64,
    locate: f64,
}

fn main() -> ExitCode {
    let args = Args::parse();
    cli::run(|| round_trip(&args))
}

fn round_trip(args: &Args) -> Result<(), Box<dyn Error>> {
    let image = decode_image(&args.image, &DecodeOptions::default())?;
    let pixel = args.point.map_or(BUNDLED_POINT, |point| point.0);
    let point = image.size().unit_from_pixel(pixel)?;

    let mut clock = Stopwatch::start();
    let models = ModelDir::open(&args.model)?.load(&args.common.device.open()?)?;
    let load = clock.lap();
    let encoded = models.encode(&image)?;
    let encode = clock.lap();
    let how = DescribeOptions { seed: args.common.seed, ..Default::default() };
    let description = models.descriptor.describe(&encoded, &[point], &how)?.remove(0).text;
    let describe = clock.lap();
    let located = models.localizer.locate(&encoded, &[&description])?.remove(0);
    let locate = clock.lap();

    let result = RoundTrip {
        image: args.image.display().to_string(),
        width: image.size().width(),
        height: image.size().height(),
        point: pixel,
        located: located.map(|found| image.size().pixel_from_unit(found.point)),
        confidence: located.and_then(|found| found.confidence),
        error_px: located.map(|found| image.size().distance_px(point, found.point)),
        error_unit: located.map(|found| point.distance(found.point)),
        device: models.run.device.clone(),
        model: models.run.model.clone(),
        seconds: Seconds { load, encode, describe, locate },
        description,
    };

    let mut overlay = Overlay::new(&image);
    if let Some(found) = located {
        overlay.line(point, found.point, FOUND_POINT);
        overlay.ring(found.point, FOUND_POINT);
    }
    overlay.ring(point, TRUE_POINT);
    overlay.caption(&result.description, None);
    overlay.caption(result.verdict(), None);
    write_png(&args.out, &overlay.finish())?;

    cli::print_result(args.common.json, &result, || result.as_text(args))
}

impl RoundTrip {
    fn verdict(&self) -> String {
        match (self.located, self.error_px, self.error_unit) {
            (Some(found), Some(error_px), Some(error_unit)) => {
                format!(
                    "green: asked ({:.0}, {:.0}); pink: found ({:.0}, {:.0}), {error_px:.1} px = {error_unit:.3} of the unit square away",
                    self.point.x, self.point.y, found.x, found.y
                )
            }
            _ => "green: asked; the words were not found in the image".to_owned(),
        }
    }

    fn as_text(&self, args: &Args) -> String {
        let Seconds { load, encode, describe, locate } = self.seconds;
        format!(
            "{}\n\n{}\nconfidence {}\nload {load:.2} s, encode {encode:.2} s, describe {describe:.2} s, locate {locate:.2} s on {}; model {}\npicture: {}",
            self.description,
            self.verdict(),
            self.confidence.map_or("not given".to_owned(), |confidence| format!("{confidence:.2}")),
            self.device,
            self.model,
            args.out.display(),
        )
    }
}

struct Stopwatch(Instant);

impl Stopwatch {
    fn start() -> Self {
        Self(Instant::now())
    }

    /// Seconds since the last lap.
    fn lap(&mut self) -> f64 {
        let seconds = self.0.elapsed().as_secs_f64();
        self.0 = Instant::now();
        seconds
    }
}
