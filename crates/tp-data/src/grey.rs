//! Converts RGB to brightness, as numbers from 0 to 1 or as bytes.

use ndarray::Array2;
use tp_core::{ImageHw, PointError, RgbImage};

/// Brightness from 0 (black) to 1 (white), `[height, width]`, with the luma weights of BT.601 as in
/// OpenCV.
#[must_use]
pub fn grey_plane(image: &RgbImage) -> Array2<f32> {
    let luma = image.bytes().as_chunks::<3>().0.iter().map(|&[r, g, b]| {
        (0.299 * f32::from(r) + 0.587 * f32::from(g) + 0.114 * f32::from(b)) / 255.0
    });
    let shape = (image.size().height() as usize, image.size().width() as usize);
    Array2::from_shape_vec(shape, luma.collect()).expect("an RgbImage has three bytes per pixel")
}

/// An 8-bit gray image, row-major.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GreyImage {
    size: ImageHw,
    bytes: Vec<u8>,
}

impl GreyImage {
    /// Creates an image from its bytes.
    ///
    /// # Errors
    ///
    /// [`PointError::BufferSize`] if the number of bytes differs from the number of pixels.
    pub fn from_bytes(size: ImageHw, bytes: Vec<u8>) -> Result<Self, PointError> {
        let expected = size.n_pixels();
        if bytes.len() != expected {
            return Err(PointError::BufferSize {
                height: size.height(),
                width: size.width(),
                expected,
                actual: bytes.len(),
            });
        }
        Ok(Self { size, bytes })
    }

    /// The brightness of a color image, rounded exactly like OpenCV's `cvtColor` (since version
    /// 4.10).
    #[must_use]
    pub fn from_rgb(image: &RgbImage) -> Self {
        // The weights of BT.601 in units of 2⁻¹⁵; they sum to 1, so gray stays gray.
        let luma = |&[r, g, b]: &[u8; 3]| {
            ((9798 * u32::from(r) + 19235 * u32::from(g) + 3735 * u32::from(b) + (1 << 14)) >> 15)
                as u8
        };
        Self {
            size: image.size(),
            bytes: image.bytes().as_chunks::<3>().0.iter().map(luma).collect(),
        }
    }

    /// Height and width.
    #[must_use]
    pub fn size(&self) -> ImageHw {
        self.size
    }

    /// All bytes, row-major.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_is_one_and_green_is_brighter_than_blue() {
        let mut image = RgbImage::filled(ImageHw::new(1, 3).unwrap(), [255; 3]);
        image.set_pixel(0, 1, [0, 255, 0]);
        image.set_pixel(0, 2, [0, 0, 255]);
        let grey = grey_plane(&image);
        assert!(
            (grey[[0, 0]] - 1.0).abs() < 1e-6
                && (grey[[0, 1]] - 0.587).abs() < 1e-6
                && (grey[[0, 2]] - 0.114).abs() < 1e-6
        );
        // 255 · 19235 / 32768 = 149.69, 255 · 3735 / 32768 = 29.07
        assert_eq!(GreyImage::from_rgb(&image).bytes(), [255, 150, 29]);
    }

    #[test]
    fn bytes_must_fit_the_size() {
        assert!(GreyImage::from_bytes(ImageHw::new(2, 2).unwrap(), vec![0; 3]).is_err());
    }
}
