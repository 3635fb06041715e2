//! RGB → one plane of brightness.

use ndarray::Array2;
use tp_core::RgbImage;

/// Brightness from 0 (black) to 1 (white), `[height, width]`, with the luma weights of BT.601 as OpenCV has them.
#[must_use]
pub fn grey_plane(image: &RgbImage) -> Array2<f32> {
    let luma = image
        .bytes()
        .as_chunks::<3>()
        .0
        .iter()
        .map(|&[r, g, b]| (0.299 * f32::from(r) + 0.587 * f32::from(g) + 0.114 * f32::from(b)) / 255.0);
    let shape = (image.size().height() as usize, image.size().width() as usize);
    Array2::from_shape_vec(shape, luma.collect()).expect("an RgbImage has three bytes for every pixel")
}

#[cfg(test)]
mod tests {
    use tp_core::ImageHw;

    use super::*;

    #[test]
    fn white_is_one_and_green_is_brighter_than_blue() {
        let mut image = RgbImage::filled(ImageHw::new(1, 3).unwrap(), [255; 3]);
        image.set_pixel(0, 1, [0, 255, 0]);
        image.set_pixel(0, 2, [0, 0, 255]);
        let grey = grey_plane(&image);
        assert!((grey[[0, 0]] - 1.0).abs() < 1e-6 && (grey[[0, 1]] - 0.587).abs() < 1e-6 && (grey[[0, 2]] - 0.114).abs() < 1e-6);
    }
}
