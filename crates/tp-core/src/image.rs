//! Images and their sizes, and the conversion between pixels and the unit square.

use serde::{Deserialize, Serialize};

use crate::{PixelXy, PointError, UnitXy};

/// Height and width of an image in pixels, both at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "RawHw", into = "RawHw")]
pub struct ImageHw {
    height: u32,
    width: u32,
}

impl ImageHw {
    /// Creates a size.
    ///
    /// # Errors
    ///
    /// [`PointError::EmptyImage`] if a side is zero.
    pub fn new(height: u32, width: u32) -> Result<Self, PointError> {
        if height == 0 || width == 0 {
            return Err(PointError::EmptyImage { height, width });
        }
        Ok(Self { height, width })
    }

    /// The number of rows.
    #[must_use]
    pub fn height(self) -> u32 {
        self.height
    }

    /// The number of columns.
    #[must_use]
    pub fn width(self) -> u32 {
        self.width
    }

    /// The number of pixels.
    #[must_use]
    pub fn n_pixels(self) -> usize {
        self.height as usize * self.width as usize
    }

    /// `u = (x + 0.5) / width`, `v = (y + 0.5) / height`.
    ///
    /// # Errors
    ///
    /// [`PointError::OutsideImage`] if the point is not finite or lies outside the border pixels.
    pub fn unit_from_pixel(self, point: PixelXy) -> Result<UnitXy, PointError> {
        UnitXy::new(
            (point.x + 0.5) / f64::from(self.width),
            (point.y + 0.5) / f64::from(self.height),
        )
        .map_err(|_| PointError::OutsideImage { x: point.x, y: point.y, size: self })
    }

    /// The inverse of [`unit_from_pixel`](Self::unit_from_pixel): from -0.5 to `width - 0.5`.
    #[must_use]
    pub fn pixel_from_unit(self, point: UnitXy) -> PixelXy {
        PixelXy {
            x: point.x() * f64::from(self.width) - 0.5,
            y: point.y() * f64::from(self.height) - 0.5,
        }
    }

    /// The `[row, column]` of the pixel that contains a point.
    #[must_use]
    pub fn cell_from_unit(self, point: UnitXy) -> [usize; 2] {
        let cell = |v: f64, n: u32| ((v * f64::from(n)) as usize).min(n as usize - 1);
        [cell(point.y(), self.height), cell(point.x(), self.width)]
    }

    /// The Euclidean distance between two points in pixels of this image.
    #[must_use]
    pub fn distance_px(self, a: UnitXy, b: UnitXy) -> f64 {
        ((a.x() - b.x()) * f64::from(self.width)).hypot((a.y() - b.y()) * f64::from(self.height))
    }
}

/// The JSON representation of a size.
#[derive(Serialize, Deserialize)]
struct RawHw {
    height: u32,
    width: u32,
}

impl TryFrom<RawHw> for ImageHw {
    type Error = PointError;

    fn try_from(RawHw { height, width }: RawHw) -> Result<Self, PointError> {
        Self::new(height, width)
    }
}

impl From<ImageHw> for RawHw {
    fn from(ImageHw { height, width }: ImageHw) -> Self {
        Self { height, width }
    }
}

/// An 8-bit RGB image: rows from top to bottom, three bytes per pixel.
#[derive(Clone, PartialEq, Eq)]
pub struct RgbImage {
    size: ImageHw,
    bytes: Vec<u8>,
}

impl RgbImage {
    /// An image from its bytes, `[height, width, 3]` row-major.
    ///
    /// # Errors
    ///
    /// [`PointError::BufferSize`] if the length of the buffer does not match the size.
    pub fn from_bytes(size: ImageHw, bytes: Vec<u8>) -> Result<Self, PointError> {
        let expected = size.n_pixels() * 3;
        if bytes.len() != expected {
            let ImageHw { height, width } = size;
            return Err(PointError::BufferSize { height, width, expected, actual: bytes.len() });
        }
        Ok(Self { size, bytes })
    }

    /// An image of a single color.
    #[must_use]
    pub fn filled(size: ImageHw, colour: [u8; 3]) -> Self {
        Self { size, bytes: colour.repeat(size.n_pixels()) }
    }

    /// Height and width.
    #[must_use]
    pub fn size(&self) -> ImageHw {
        self.size
    }

    /// All bytes, `[height, width, 3]` row-major.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// All bytes, mutable.
    #[must_use]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// All bytes, without a copy.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The color of a pixel.
    ///
    /// # Panics
    ///
    /// If the row or column is outside the image.
    #[must_use]
    pub fn pixel(&self, row: usize, column: usize) -> [u8; 3] {
        let start = self.start(row, column);
        [self.bytes[start], self.bytes[start + 1], self.bytes[start + 2]]
    }

    /// Sets the color of a pixel.
    ///
    /// # Panics
    ///
    /// If the row or column is outside the image.
    pub fn set_pixel(&mut self, row: usize, column: usize, colour: [u8; 3]) {
        let start = self.start(row, column);
        self.bytes[start..start + 3].copy_from_slice(&colour);
    }

    fn start(&self, row: usize, column: usize) -> usize {
        let width = self.size.width as usize;
        assert!(
            row < self.size.height as usize && column < width,
            "pixel ({row}, {column}) is outside {:?}",
            self.size
        );
        (row * width + column) * 3
    }
}

impl std::fmt::Debug for RgbImage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RgbImage").field("size", &self.size).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn first_pixel_centre_is_half_a_pixel_from_the_edge() {
        let size = ImageHw::new(10, 20).unwrap();
        let point = size.unit_from_pixel(PixelXy { x: 0.0, y: 0.0 }).unwrap();
        assert_eq!((point.x(), point.y()), (0.025, 0.05));
    }

    #[test]
    fn point_outside_the_image_is_named_with_the_size() {
        let size = ImageHw::new(10, 20).unwrap();
        for (x, y) in [(20.0, 3.0), (-0.6, 3.0), (f64::NAN, 3.0), (3.0, f64::NEG_INFINITY)] {
            let message = size.unit_from_pixel(PixelXy { x, y }).unwrap_err().to_string();
            assert!(message.contains("20 pixels wide and 10 high"), "{message}");
        }
    }

    proptest! {
        #[test]
        fn unit_to_pixel_and_back_is_the_identity(h in 1u32..5000, w in 1u32..5000, x in 0.0..=1.0, y in 0.0..=1.0) {
            let size = ImageHw::new(h, w).unwrap();
            let point = UnitXy::new(x, y).unwrap();
            let pixel = size.pixel_from_unit(point);
            let back = size.unit_from_pixel(PixelXy { x: pixel.x.clamp(-0.5, f64::from(w) - 0.5), y: pixel.y.clamp(-0.5, f64::from(h) - 0.5) }).unwrap();
            prop_assert!(point.distance(back) < 1e-12);
        }

        #[test]
        fn cell_of_a_pixel_centre_is_that_pixel(h in 1u32..500, w in 1u32..500, row in 0u32..500, column in 0u32..500) {
            let size = ImageHw::new(h, w).unwrap();
            let (row, column) = (row % h, column % w);
            let point = size.unit_from_pixel(PixelXy { x: f64::from(column), y: f64::from(row) }).unwrap();
            prop_assert_eq!(size.cell_from_unit(point), [row as usize, column as usize]);
        }
    }
}
