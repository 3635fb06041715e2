//! An image behind the guard: whatever decodes has the size that its header says, turned or not.

use tp_data::{DecodeOptions, Orientation, decode_bytes, decode_image, image_size};

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
    assert!(found == [height, width] || found == [width, height], "{found:?} of {height} by {width}");
    assert_eq!(upright.bytes().len(), stored.bytes().len());
    // Turning moves pixels and changes none.
    let sum = |bytes: &[u8]| bytes.iter().map(|&byte| u64::from(byte)).sum::<u64>();
    assert_eq!(sum(upright.bytes()), sum(stored.bytes()));
}
