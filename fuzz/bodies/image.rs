//! An image behind the guard: whatever decodes has the size that its header says, turned or not,
//! and is passed on as it is annotated.

use tp_core::RgbImage;
use tp_data::{
    DecodeOptions, Orientation, PixelGrid, decode_annotated_bytes, decode_bytes, decode_image,
    file_as_annotated, image_size,
};

use crate::scratch;

/// Small, so that an input takes no time.
const LIMITS: DecodeOptions = DecodeOptions {
    max_bytes: 1 << 20,
    max_width: 1024,
    max_height: 1024,
    max_pixels: 1 << 16,
    max_alloc: 4 << 20,
    orientation: Orientation::Apply,
};

pub(crate) fn run(input: &[u8]) {
    let path = scratch::folder("image", |_| ()).join("image");
    scratch::put(&path, input);
    let upright = decode_bytes("input", input, &LIMITS);
    let stored = decode_image(&path, &DecodeOptions { orientation: Orientation::Keep, ..LIMITS });
    let told = image_size(&path);
    assert_eq!(upright.is_ok(), stored.is_ok(), "{upright:?} {stored:?}");
    let (Ok(upright), Ok(stored)) = (upright, stored) else { return };
    assert_eq!(told.expect("what decodes has a size"), stored.size());
    let (height, width) = (stored.size().height(), stored.size().width());
    let found = [upright.size().height(), upright.size().width()];
    assert!(
        found == [height, width] || found == [width, height],
        "{found:?} of {height} by {width}"
    );
    assert_eq!(upright.bytes().len(), stored.bytes().len());
    // Turning moves pixels and changes none.
    let sum = |bytes: &[u8]| bytes.iter().map(|&byte| u64::from(byte)).sum::<u64>();
    assert_eq!(sum(upright.bytes()), sum(stored.bytes()));
    check_grid(input, &stored, PixelGrid::Stored);
    if upright.size() != stored.size() {
        check_grid(input, &upright, PixelGrid::Upright);
    }
}

/// What is annotated on a grid is decoded on it, and passed on so that programs that turn pictures
/// and programs that do not see the same.
fn check_grid(input: &[u8], image: &RgbImage, grid: PixelGrid) {
    assert_eq!(
        decode_annotated_bytes("input", input, image.size()).expect("it was decoded before"),
        (image.clone(), grid)
    );
    let passed_on = file_as_annotated("input", input, image.size()).expect("it was decoded before");
    let [turned, kept] = [Orientation::Apply, Orientation::Keep].map(|orientation| {
        decode_bytes(
            "passed on",
            &passed_on,
            &DecodeOptions { orientation, ..DecodeOptions::default() },
        )
        .expect("what we write we read")
    });
    assert_eq!((turned.size(), kept.size()), (image.size(), image.size()));
    assert!(turned == kept);
    // An upright picture is encoded anew, which may change its pixels.
    assert!(grid == PixelGrid::Upright || kept == *image);
}
