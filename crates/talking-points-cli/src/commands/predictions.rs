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
    Models,
    core::{ImageHw, Seed},
    data::{DecodeOptions, decode_image, write_png},
    overlay::Overlay,
    scenes::{Scene, SceneOptions},
    vision::FoundObject,
};

use crate::cli::{self, CommonArgs, ModelArgs};

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
    model: ModelArgs,
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
    let [_, _, height, width] = encoded.features.queries.mask_logits.dims();

    let mut overlay = Overlay::new(&image);
    let mut objects = Vec::new();
    for (object, colour) in encoded
        .features
        .queries
        .objects(0, args.least_score)
        .into_iter()
        .zip(COLOURS.into_iter().cycle())
    {
        overlay.heat(
            |place| {
                let at = encoded.letterbox.model_from_unit(place);
                let index = |v: f64, n: usize| ((v * n as f64) as usize).min(n - 1);
                if object.cells[index(at.y, height) * width + index(at.x, width)] {
                    0.5
                } else {
                    0.0
                }
            },
            colour,
        );
        let shown = shown(&models, &object);
        overlay.caption(format!("{} {:.0} %", shown.class, 100.0 * shown.score), Some(colour));
        objects.push(shown);
    }
    write_png(&args.out, &overlay.finish())?;

    let found = Found { objects };
    cli::print_result(args.common.json, &found, || {
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

/// An object with the name of its class, or the index of a class without a name.
fn shown(models: &Models, object: &FoundObject) -> ShownObject {
    let name = models.config.class_names.as_ref().and_then(|names| names.get(object.class));
    ShownObject {
        class: name.cloned().unwrap_or_else(|| format!("class {}", object.class)),
        score: object.score,
        area_share: object.n_cells() as f64 / object.cells.len() as f64,
        query: object.query,
    }
}
