//! A COCO file, read as every format that such files have.

use serde_json::Value;
use tp_core::{ImageHw, RgbImage};
use tp_data::{DatasetFormat, write_png};

use crate::{annotated, scratch};

/// Masks of larger images are not drawn: a pixel takes a byte, and an input would take a second.
const MAX_PIXELS: f64 = 65_536.0;

pub(crate) fn run(input: &[u8]) {
    let root = scratch::folder("coco", |root| {
        let image = root.join("images/a.png");
        scratch::put(&image, b"");
        write_png(
            &image,
            &RgbImage::filled(ImageHw::new(6, 8).expect("it has pixels"), [90, 120, 60]),
        )
        .expect("it can be written");
    });
    scratch::put(&root.join("annotations.json"), input);
    let small = images_are_small(input);
    for format in [DatasetFormat::CocoParts, DatasetFormat::CocoKeypoints, DatasetFormat::Ap10k] {
        annotated::check(format, &root, small);
    }
}

fn images_are_small(input: &[u8]) -> bool {
    let Ok(file) =
        serde_json::from_slice::<Value>(input.strip_prefix(b"\xef\xbb\xbf").unwrap_or(input))
    else {
        return false;
    };
    let number = |value: &Value| {
        value.as_f64().or_else(|| value.as_str()?.trim().parse().ok()).unwrap_or(0.0)
    };
    file["images"].as_array().is_some_and(|images| {
        images.iter().all(|image| number(&image["width"]) * number(&image["height"]) <= MAX_PIXELS)
    })
}
