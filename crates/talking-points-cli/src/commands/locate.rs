//! Finds the points that texts refer to. The image is encoded once for all texts.
//!
//! ```sh
//! talking-points locate --image photo.jpg --text "the cow's head, near its right end"
//! ```

use std::{error::Error, path::PathBuf};

use serde::Serialize;
use talking_points::{
    core::{LocalizePoint, PixelXy},
    data::{DecodeOptions, decode_image},
};

use crate::{
    args::{self, CommonArgs, InferenceArgs},
    output::print_result,
};

/// Finds the points of an image that texts refer to.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A JPEG, PNG or WebP file.
    #[arg(long)]
    image: PathBuf,
    /// The text to locate; may be given many times.
    #[arg(long, required = true, allow_hyphen_values = true, value_parser = args::text_arg)]
    text: Vec<String>,
    #[command(flatten)]
    model: InferenceArgs,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Serialize)]
struct Answers {
    image: String,
    results: Vec<Answer>,
}

#[derive(Serialize)]
struct Answer {
    text: String,
    located: Option<PixelXy>,
    confidence: Option<f32>,
}

pub(crate) fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let image = decode_image(&args.image, &DecodeOptions::default())?;
    let models = args.model.load()?;
    let encoded = models.encode(&image)?;
    let texts: Vec<&str> = args.text.iter().map(String::as_str).collect();
    let located = models.localizer.locate(&encoded, &texts)?;

    let results = args
        .text
        .iter()
        .zip(located)
        .map(|(text, located)| Answer {
            text: text.clone(),
            located: located.map(|found| image.size().pixel_from_unit(found.point)),
            confidence: located.and_then(|found| found.confidence),
        })
        .collect();
    let result = Answers { image: args.image.display().to_string(), results };
    print_result(args.common.json, &result, || {
        let line = |answer: &Answer| match answer.located {
            Some(PixelXy { x, y }) => format!(
                "({x:.0}, {y:.0})  confidence {:.2}  {}",
                answer.confidence.unwrap_or(f32::NAN),
                answer.text
            ),
            None => format!("not in this image  {}", answer.text),
        };
        result.results.iter().map(line).collect::<Vec<_>>().join("\n")
    })
}
