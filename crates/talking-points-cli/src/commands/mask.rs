//! Draws the feature cells that the query of a point may attend to, level by level.
//!
//! ```sh
//! talking-points show mask --image photo.jpg --point 120,85 --sigma 0.03125 --rule threshold --out mask.png
//! ```

use std::{error::Error, path::PathBuf};

use clap::ValueEnum;
use serde::Serialize;
use talking_points::{
    core::{Fit, Letterbox, PixelXy},
    data::{DecodeOptions, decode_image, write_png},
    descriptor::{GaussianMask, MaskRule},
    overlay::{FOUND_POINT, Overlay, TRUE_POINT},
};

use crate::{args::CommonArgs, output::print_result};

/// Draws the feature cells that the query of a point may attend to, level by level.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A JPEG, PNG or WebP file.
    #[arg(long)]
    image: PathBuf,
    /// Column and row of the point in pixels.
    #[arg(long, allow_hyphen_values = true, value_name = "X,Y")]
    point: PixelXy,
    /// Standard deviation, as a fraction of the model input's side.
    #[arg(long, allow_negative_numbers = true, default_value_t = 0.03125)]
    sigma: f64,
    /// The rule that turns the Gaussian into a mask.
    #[arg(long, value_enum, default_value_t = Rule::Threshold)]
    rule: Rule,
    /// Side of the model's input in pixels.
    #[arg(long, allow_negative_numbers = true, default_value_t = 256, value_parser = clap::value_parser!(u32).range(32..=4096))]
    input_size: u32,
    /// The picture to write.
    #[arg(long)]
    out: PathBuf,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Clone, Copy, ValueEnum)]
enum Rule {
    /// The paper's: open or closed.
    Threshold,
    /// The logarithm of the Gaussian is added to the attention logits.
    LogBias,
}

#[derive(Serialize)]
struct Levels {
    levels: Vec<Level>,
}

#[derive(Serialize)]
struct Level {
    n: usize,
    open: usize,
}

pub(crate) fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let rule = match args.rule {
        Rule::Threshold => MaskRule::Threshold((-2.0_f64).exp()),
        Rule::LogBias => MaskRule::LogBias { floor: 1e-3 },
    };
    let mask = GaussianMask::new().with_sigma(args.sigma).with_rule(rule);
    mask.validate()?;
    let image = decode_image(&args.image, &DecodeOptions::default())?;
    let point = image.size().unit_from_pixel(args.point)?;
    let letterbox = Letterbox::new(image.size(), Fit::PadToSquare);
    let in_model = letterbox.model_from_unit(point);

    let strides = [32, 16, 8];
    let levels: Vec<Level> = strides
        .map(|stride| args.input_size as usize / stride)
        .map(|n| Level { n, open: mask.n_open(in_model, [n, n]) })
        .into();

    let mut overlay = Overlay::new(&image);
    // The finest level, in the colour of open cells; soft rules fade with their weight.
    let n = levels[2].n;
    let mut weights = vec![0.0; n * n];
    mask.window(in_model, [n, n])
        .into_iter()
        .for_each(|(cell, bias)| weights[cell as usize] = f64::from(bias.exp()));
    overlay.heat(
        |place| {
            let at = letterbox.model_from_unit(place);
            let index = |v: f64| ((v * n as f64) as usize).min(n - 1);
            0.65 * weights[index(at.y) * n + index(at.x)]
        },
        FOUND_POINT,
    );
    overlay.ring(point, TRUE_POINT);
    let counts = levels
        .iter()
        .map(|level| format!("{} of {}²", level.open, level.n))
        .collect::<Vec<_>>()
        .join(", ");
    overlay.caption(
        format!("sigma {}, open cells: {counts}; shown: the finest level", args.sigma),
        None,
    );
    write_png(&args.out, &overlay.finish())?;

    let result = Levels { levels };
    print_result(args.common.json, &result, || {
        format!("open cells: {counts}\npicture: {}", args.out.display())
    })
}
