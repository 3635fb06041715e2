//! Describes some points of a photograph.

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::path::Path;

use talking_points::prelude::*;

fn main() -> Result<(), Error> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let models = ModelDir::open(root.join("models/tiny"))?.load(&DeviceName::Flex.open()?)?;

    let image = decode_image(&root.join("examples/images/coffee.jpg"), &DecodeOptions::default())?;
    let pixels = [PixelXy { x: 320.0, y: 180.0 }, PixelXy { x: 60.0, y: 300.0 }];
    let points = pixels.map(|pixel| image.size().unit_from_pixel(pixel));
    let points = points.into_iter().collect::<Result<Vec<UnitXy>, _>>()?;

    // The image is encoded once for any number of points.
    let encoded = models.encode(&image)?;
    for (pixel, said) in
        pixels.iter().zip(models.describe(&encoded, &points, &DescribeOptions::default())?)
    {
        println!("({}, {})  {}", pixel.x, pixel.y, said.text);
        if let Some(PointName { object: Some(object), object_probability, .. }) = said.name {
            println!("    \"{object}\" with a probability of {object_probability:.2}");
        }
    }
    Ok(())
}
