//! Locates points of a photograph from texts.

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::path::Path;

use talking_points::prelude::*;

fn main() -> Result<(), Error> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let models = ModelDir::open(root.join("models/tiny"))?.load(&DeviceName::Flex.open()?)?;

    let image = decode_image(&root.join("examples/images/cat.jpg"), &DecodeOptions::default())?;
    let encoded = models.encode(&image)?;
    let texts = ["the cat's nose", "the left ear", "the wheel of the bicycle"];
    for (text, found) in texts.iter().zip(models.locate(&encoded, &texts)?) {
        match found {
            Some(Located { point, confidence }) => {
                let PixelXy { x, y } = image.size().pixel_from_unit(point);
                println!(
                    "{text}: ({x:.0}, {y:.0}), confidence {:.2}",
                    confidence.unwrap_or(f32::NAN)
                );
            }
            None => println!("{text}: not in this image"),
        }
    }
    Ok(())
}
