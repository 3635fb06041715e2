//! Draws the objects that the vision encoder predicts in an image: masks and classes of the learned
//! queries.
//!
//! ```sh
//! talking-points show predictions --image photo.jpg --out found.png
//! talking-points show predictions --seed 7 --out found.png    # a procedural scene
//! ```

use std::{error::Error, path::PathBuf};

use serde::Serialize;
use talking_points::{
    core::{ImageHw, Seed},
    data::{DecodeOptions, decode_image, write_png},
    overlay::Overlay,
    scenes::{Scene, SceneOptions},
};

use crate::{
    args::{CommonArgs, InferenceArgs},
    output::print_result,
};

/// Colors of the objects, in order.
const COLOURS: [[u8; 3]; 6] =
    [[255, 70, 190], [40, 150, 255], [255, 150, 20], [30, 190, 90], [150, 80, 240], [200, 170, 0]];

/// Draws the objects that the vision encoder predicts: masks and classes of the learned queries.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A JPEG, PNG or WebP file; without one, the procedural scene of the seed.
    #[arg(long)]
    image: Option<PathBuf>,
    #[command(flatten)]
    model: InferenceArgs,
    /// The minimum probability of a class that is drawn.
    #[arg(long, allow_negative_numbers = true, default_value_t = 0.3)]
    least_score: f32,
    /// The picture to write.
    #[arg(long)]
    out: PathBuf,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Serialize)]
struct Found {
    objects: Vec<ShownObject>,
}

#[derive(Serialize)]
struct ShownObject {
    class: String,
    score: f32,
    /// The share of the model's square input that the mask covers.
    area_share: f64,
    query: usize,
}

pub(crate) fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let image = match &args.image {
        Some(path) => decode_image(path, &DecodeOptions::default())?,
        None => {
            let options = SceneOptions { size: ImageHw::new(256, 256)?, ..Default::default() };
            Scene::generate(Seed(args.common.seed), &options).into_parts().0
        }
    };
    let models = args.model.load()?;
    let encoded = models.encode(&image)?;
    let queries = &encoded.features.queries;
    let [_, _, height, width] = queries.mask_logits.dims();

    let mut overlay = Overlay::new(&image);
    let mut objects = Vec::new();
    for (object, colour) in
        queries.objects(0, args.least_score).into_iter().zip(COLOURS.into_iter().cycle())
    {
        overlay.object(&object, [height, width], &encoded.letterbox, colour);
        let shown = ShownObject {
            class: models.config.class_name(object.class),
            score: object.score,
            area_share: object.area_share(),
            query: object.query,
        };
        overlay.caption(format!("{} {:.0} %", shown.class, 100.0 * shown.score), Some(colour));
        objects.push(shown);
    }
    write_png(&args.out, &overlay.finish())?;

    let found = Found { objects };
    print_result(args.common.json, &found, || {
        let line = |object: &ShownObject| {
            format!(
                "{} {:.2}, {:.0} % of the image",
                object.class,
                object.score,
                100.0 * object.area_share
            )
        };
        let lines: Vec<String> = found.objects.iter().map(line).collect();
        if lines.is_empty() { "nothing was found".to_owned() } else { lines.join("\n") }
    })
}
