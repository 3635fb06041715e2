//! Finds the SIFT keypoints of an image, or of a part of it, strongest first.
//!
//! ```sh
//! talking-points data sift --image photo.jpg --mask part.png --json
//! ```

use std::{error::Error, path::PathBuf};

use serde::Serialize;
use talking_points::data::{
    DataError, DecodeOptions, GreyImage, ImageProblem, SiftKeypoint, SiftOptions, decode_image,
    sift_keypoints,
};

use crate::{args::CommonArgs, output::print_result};

/// Finds the SIFT keypoints of an image, or of a part of it, strongest first.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A JPEG, PNG or WebP file.
    #[arg(long)]
    image: PathBuf,
    /// A mask of the same size; only keypoints on its non-black pixels are kept.
    #[arg(long)]
    mask: Option<PathBuf>,
    /// The number of strongest keypoints to keep; 0 keeps all.
    #[arg(long, allow_negative_numbers = true, default_value_t = 0)]
    limit: usize,
    /// The minimum contrast of a keypoint.
    #[arg(long, allow_negative_numbers = true, default_value_t = SiftOptions::default().contrast)]
    contrast: f32,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Serialize)]
struct Found {
    keypoints: Vec<SiftKeypoint>,
}

pub(crate) fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let image = decode_image(&args.image, &DecodeOptions::default())?;
    let options = SiftOptions { contrast: args.contrast, ..Default::default() };
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
            row < size.height() as usize
                && column < size.width() as usize
                && mask.pixel(row, column) != [0; 3]
        });
    }
    if args.limit > 0 {
        keypoints.truncate(args.limit);
    }

    let found = Found { keypoints };
    print_result(args.common.json, &found, || {
        let line = |k: &SiftKeypoint| {
            format!(
                "({:.2}, {:.2})  size {:.2}  angle {:.1}  response {:.4}",
                k.x, k.y, k.size, k.angle, k.response
            )
        };
        found.keypoints.iter().map(line).collect::<Vec<_>>().join("\n")
    })
}
