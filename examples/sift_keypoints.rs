//! Finds the SIFT keypoints of an image, or of a part of it, strongest first.
//!
//! ```sh
//! cargo run --example sift_keypoints -- --image photo.jpg --mask part.png --json
//! ```

use std::{error::Error, path::PathBuf, process::ExitCode};

use clap::Parser;
use serde::Serialize;
use talking_points::{
    cli::{self, CommonArgs},
    data::{DataError, DecodeOptions, GreyImage, ImageProblem, SiftKeypoint, SiftOptions, decode_image, sift_keypoints},
};

#[derive(Parser)]
#[command(about = "Finds the SIFT keypoints of an image, or of a part of it, strongest first")]
struct Args {
    /// A JPEG, PNG or WebP file.
    #[arg(long)]
    image: PathBuf,
    /// An image of the same size: only keypoints where it is not black.
    #[arg(long)]
    mask: Option<PathBuf>,
    /// Keep this many of the strongest; 0 keeps all.
    #[arg(long, allow_negative_numbers = true, default_value_t = 0)]
    limit: usize,
    /// A keypoint's least contrast.
    #[arg(long, allow_negative_numbers = true, default_value_t = SiftOptions::default().contrast)]
    contrast: f32,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Serialize)]
struct Found {
    keypoints: Vec<SiftKeypoint>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    cli::run(|| find(&args))
}

fn find(args: &Args) -> Result<(), Box<dyn Error>> {
    args.common.device.open()?;
    let image = decode_image(&args.image, &DecodeOptions::default())?;
    let options = SiftOptions { contrast: args.contrast, ..SiftOptions::default() };
    let mut keypoints = sift_keypoints(&GreyImage::from_rgb(&image), &options)?;
    if let Some(path) = &args.mask {
        let mask = decode_image(path, &DecodeOptions::default())?;
        if mask.size() != image.size() {
            let problem = ImageProblem::OtherSize { found: mask.size(), expected: image.size() };
            return Err(DataError::Image { name: path.display().to_string(), problem }.into());
        }
        let size = mask.size();
        keypoints.retain(|keypoint| {
            let [row, column] = keypoint.pixel();
            row < size.height() as usize && column < size.width() as usize && mask.pixel(row, column) != [0; 3]
        });
    }
    if args.limit > 0 {
        keypoints.truncate(args.limit);
    }

    let found = Found { keypoints };
    cli::print_result(args.common.json, &found, || {
        let line =
            |k: &SiftKeypoint| format!("({:.2}, {:.2})  size {:.2}  angle {:.1}  response {:.4}", k.x, k.y, k.size, k.angle, k.response);
        found.keypoints.iter().map(line).collect::<Vec<_>>().join("\n")
    })
}
