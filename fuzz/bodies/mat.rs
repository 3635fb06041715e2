//! A MATLAB file of Pascal-Part, beside an image of six rows and eight columns.

use tp_core::{ImageHw, RgbImage};
use tp_data::{DatasetFormat, write_png};

use crate::{annotated, scratch};

pub(crate) fn run(input: &[u8]) {
    let root = scratch::folder("mat", |root| {
        let image = root.join("JPEGImages/2008_000003.jpg");
        scratch::put(&image, b"");
        write_png(
            &image,
            &RgbImage::filled(ImageHw::new(6, 8).expect("it has pixels"), [90, 120, 60]),
        )
        .expect("it can be written");
    });
    scratch::put(&root.join("Annotations_Part/2008_000003.mat"), input);
    annotated::check(DatasetFormat::PascalPartMat, &root, true);
}
