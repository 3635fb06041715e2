//! A point looked at once more, closer: a section of its image around it, brought into the model's square.
//!
//! In the square of the whole image a thing may be a few cells wide; in the square of its section it is as large as the things of the
//! photographs on which a backbone was trained.

use burn::tensor::Tensor;
use tp_core::{ImageHw, Letterbox, ModelXy, RgbImage, UnitXy};

use crate::{EncodedImage, Eyes, VisionError, preprocess::shrunk};

/// The longer side of the pixels that an encoded image keeps: a section of a third still has more of them than a square of 320.
const KEPT_SIDE: u32 = 1024;

/// The pixels that an encoded image keeps for closer looks.
pub(crate) fn kept_pixels(image: &RgbImage) -> Result<RgbImage, VisionError> {
    let size = image.size();
    let longer = size.height().max(size.width());
    if longer <= KEPT_SIDE {
        return Ok(image.clone());
    }
    let side = |n: u32| ((u64::from(n) * u64::from(KEPT_SIDE) + u64::from(longer) / 2) / u64::from(longer)).max(1) as u32;
    shrunk(image, ImageHw::new(side(size.height()), side(size.width())).expect("no side is 0"))
}

impl Eyes {
    /// C2 … C5 of one section around each point, `[point, height / stride, width / stride, channels]`, and where the points lie in their
    /// sections.
    ///
    /// - `share`: the section's longer side, as a share of the image's
    ///
    /// # Errors
    ///
    /// [`VisionError`] if a section cannot be resized.
    pub(crate) fn close_ups(
        &self,
        image: &EncodedImage,
        points: &[UnitXy],
        share: f64,
    ) -> Result<([Tensor<4>; 4], Vec<ModelXy>), VisionError> {
        let (mut squares, mut places) = (Vec::with_capacity(points.len()), Vec::with_capacity(points.len()));
        for &point in points {
            let (section, point) = section(&image.pixels, point, share);
            let letterbox = Letterbox::new(section.size(), image.letterbox.fit());
            places.push(letterbox.model_from_unit(point));
            squares.push(self.input.preprocess(&section, image.input_size, &self.projector.device())?);
        }
        Ok((self.encoder.backbone().forward(Tensor::cat(squares, 0)), places))
    }
}

/// The section of an image with the point as near to its middle as the image allows, and the point's place in it.
fn section(image: &RgbImage, point: UnitXy, share: f64) -> (RgbImage, UnitXy) {
    let [height, width] = [image.size().height(), image.size().width()].map(|n| n as usize);
    let side = (height.max(width) as f64 * share).round().max(1.0) as usize;
    let along = |n: usize, at: f64| {
        let length = side.min(n);
        let first = (at * n as f64 - length as f64 / 2.0).round().clamp(0.0, (n - length) as f64) as usize;
        (first, length, (at * n as f64 - first as f64) / length as f64)
    };
    let ((top, rows, y), (left, columns, x)) = (along(height, point.y()), along(width, point.x()));
    let bytes = image.bytes().chunks_exact(width * 3).skip(top).take(rows).flat_map(|row| &row[left * 3..][..columns * 3]);
    let size = ImageHw::new(rows as u32, columns as u32).expect("no side is 0");
    (RgbImage::from_bytes(size, bytes.copied().collect()).expect("three bytes for each pixel"), UnitXy::nearest(x, y))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every pixel says where it is.
    fn numbered(height: u32, width: u32) -> RgbImage {
        let bytes = (0..height).flat_map(|row| (0..width).flat_map(move |column| [row as u8, column as u8, 0])).collect();
        RgbImage::from_bytes(ImageHw::new(height, width).unwrap(), bytes).unwrap()
    }

    #[test]
    fn a_section_shows_its_point_and_stays_in_the_image() {
        let image = numbered(40, 100);
        for (row, column, share, size) in [(20, 50, 0.5, (40, 50)), (0, 0, 0.2, (20, 20)), (39, 99, 0.2, (20, 20)), (7, 60, 1.0, (40, 100))]
        {
            let point = UnitXy::new((f64::from(column) + 0.5) / 100.0, (f64::from(row) + 0.5) / 40.0).unwrap();
            let (section, place) = section(&image, point, share);
            assert_eq!((section.size().height(), section.size().width()), size);
            let [at_row, at_column] = section.size().cell_from_unit(place);
            assert_eq!(section.pixel(at_row, at_column), [row as u8, column as u8, 0], "{row} {column}");
        }
        // Away from the edges the point is in the middle.
        let (_, place) = section(&image, UnitXy::new(0.5, 0.5).unwrap(), 0.2);
        assert_eq!((place.x(), place.y()), (0.5, 0.5));
    }

    #[test]
    fn kept_pixels_are_the_image_or_a_smaller_one_of_its_shape() {
        assert_eq!(kept_pixels(&numbered(40, 100)).unwrap().bytes(), numbered(40, 100).bytes());
        let kept = kept_pixels(&numbered(3, 4096)).unwrap();
        assert_eq!((kept.size().height(), kept.size().width()), (1, 1024));
        let kept = kept_pixels(&RgbImage::filled(ImageHw::new(2048, 1024).unwrap(), [9, 8, 7])).unwrap();
        assert_eq!((kept.size().height(), kept.size().width()), (1024, 512));
        assert!(kept.bytes().chunks_exact(3).all(|pixel| pixel == [9, 8, 7]));
    }
}
