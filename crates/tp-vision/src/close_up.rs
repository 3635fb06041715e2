//! Close-ups: sections of an image around a point, encoded at the full input resolution.
//!
//! An object may be only a few cells wide in the feature map of a whole image; in that of a section
//! it is as large as the objects on which the backbone was trained.

use burn::tensor::Tensor;
use tp_core::{ImageHw, Letterbox, ModelXy, RgbImage, UnitXy};

use crate::{EncodedImage, VisionError, VisionModel, preprocess::shrunk};

/// The longer side of the copy that an encoded image keeps: a third of it still has more pixels
/// than an input of 320.
const KEPT_SIDE: u32 = 1024;

/// The copy of the pixels that an encoded image keeps for close-ups.
pub(crate) fn kept_pixels(image: &RgbImage) -> RgbImage {
    let size = image.size();
    let longer = size.height().max(size.width());
    if longer <= KEPT_SIDE {
        return image.clone();
    }
    let side = |n: u32| {
        ((u64::from(n) * u64::from(KEPT_SIDE) + u64::from(longer) / 2) / u64::from(longer)).max(1)
            as u32
    };
    shrunk(image, ImageHw::new(side(size.height()), side(size.width())).expect("no side is 0"))
}

impl VisionModel {
    /// C2 … C5 of one section around each point, `[point, height / stride, width / stride,
    /// channels]`, and the positions of the points in their sections.
    ///
    /// - `share`: the section's longer side relative to the image's
    ///
    /// # Errors
    ///
    /// As [`encode_section`](Self::encode_section).
    pub(crate) fn close_ups(
        &self,
        image: &EncodedImage,
        points: &[UnitXy],
        share: f64,
    ) -> Result<([Tensor<4>; 4], Vec<ModelXy>), VisionError> {
        let (mut squares, mut places) =
            (Vec::with_capacity(points.len()), Vec::with_capacity(points.len()));
        for &point in points {
            let section = Section::around(point, image.pixels.size(), share);
            let pixels = section.of(&image.pixels);
            let letterbox = Letterbox::new(pixels.size(), image.letterbox.fit());
            places.push(letterbox.model_from_unit(section.nearest_inside(point)));
            squares.push(self.input.preprocess(
                &pixels,
                image.input_size,
                &self.projector.device(),
            ));
        }
        Ok((self.encoder.backbone().forward(Tensor::cat(squares, 0)), places))
    }

    /// Encodes a section of an encoded image as an image of its own.
    ///
    /// # Errors
    ///
    /// As [`encode`](Self::encode).
    pub fn encode_section(
        &self,
        image: &EncodedImage,
        section: &Section,
    ) -> Result<EncodedImage, VisionError> {
        self.encode(&section.of(&image.pixels), image.input_size)
    }
}

/// A section of an image, in whole pixels of the copy that an [`EncodedImage`] keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section {
    image: ImageHw,
    top: usize,
    left: usize,
    size: ImageHw,
}

impl Section {
    /// The section whose center is as near to a point as the image border allows.
    ///
    /// - `image`: the size of [`EncodedImage::pixels`]
    /// - `share`: the section's longer side relative to the image's
    #[must_use]
    pub fn around(point: UnitXy, image: ImageHw, share: f64) -> Self {
        let [height, width] = [image.height(), image.width()].map(|n| n as usize);
        let side = (height.max(width) as f64 * share).round().max(1.0) as usize;
        let along = |n: usize, at: f64| {
            let length = side.min(n);
            let first = (at * n as f64 - length as f64 / 2.0)
                .round()
                .clamp(0.0, (n - length) as f64) as usize;
            (first, length as u32)
        };
        let ((top, rows), (left, columns)) = (along(height, point.y()), along(width, point.x()));
        Self { image, top, left, size: ImageHw::new(rows, columns).expect("no side is 0") }
    }

    /// The position of a point of the image in the section; `None` outside of it.
    #[must_use]
    pub fn inside(&self, point: UnitXy) -> Option<UnitXy> {
        let [x, y] = self.coordinates(point);
        UnitXy::new(x, y).ok()
    }

    fn nearest_inside(&self, point: UnitXy) -> UnitXy {
        let [x, y] = self.coordinates(point);
        UnitXy::nearest(x, y)
    }

    fn coordinates(&self, point: UnitXy) -> [f64; 2] {
        let along = |at: f64, n: u32, first: usize, length: u32| {
            (at * f64::from(n) - first as f64) / f64::from(length)
        };
        [
            along(point.x(), self.image.width(), self.left, self.size.width()),
            along(point.y(), self.image.height(), self.top, self.size.height()),
        ]
    }

    fn of(&self, image: &RgbImage) -> RgbImage {
        let [rows, columns] = [self.size.height(), self.size.width()].map(|n| n as usize);
        let lines =
            image.bytes().chunks_exact(self.image.width() as usize * 3).skip(self.top).take(rows);
        let bytes = lines.flat_map(|line| &line[self.left * 3..][..columns * 3]);
        RgbImage::from_bytes(self.size, bytes.copied().collect()).expect("three bytes per pixel")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An image in which every pixel encodes its position.
    fn numbered(height: u32, width: u32) -> RgbImage {
        let bytes = (0..height)
            .flat_map(|row| (0..width).flat_map(move |column| [row as u8, column as u8, 0]))
            .collect();
        RgbImage::from_bytes(ImageHw::new(height, width).unwrap(), bytes).unwrap()
    }

    #[test]
    fn a_section_shows_its_point_and_stays_in_the_image() {
        let image = numbered(40, 100);
        for (row, column, share, size) in [
            (20, 50, 0.5, (40, 50)),
            (0, 0, 0.2, (20, 20)),
            (39, 99, 0.2, (20, 20)),
            (7, 60, 1.0, (40, 100)),
        ] {
            let point =
                UnitXy::new((f64::from(column) + 0.5) / 100.0, (f64::from(row) + 0.5) / 40.0)
                    .unwrap();
            let section = Section::around(point, image.size(), share);
            let pixels = section.of(&image);
            assert_eq!((pixels.size().height(), pixels.size().width()), size);
            let [at_row, at_column] = pixels.size().cell_from_unit(section.inside(point).unwrap());
            assert_eq!(
                pixels.pixel(at_row, at_column),
                [row as u8, column as u8, 0],
                "{row} {column}"
            );
        }
        // Far from the edges the point is in the center.
        let middle = UnitXy::new(0.5, 0.5).unwrap();
        let section = Section::around(middle, image.size(), 0.2);
        assert_eq!(section.inside(middle), Some(middle));
        assert_eq!(section.inside(UnitXy::new(0.39, 0.5).unwrap()), None);
    }

    #[test]
    fn kept_pixels_are_the_image_or_a_smaller_one_of_its_shape() {
        assert_eq!(kept_pixels(&numbered(40, 100)).bytes(), numbered(40, 100).bytes());
        let kept = kept_pixels(&numbered(3, 4096));
        assert_eq!((kept.size().height(), kept.size().width()), (1, 1024));
        let kept = kept_pixels(&RgbImage::filled(ImageHw::new(2048, 1024).unwrap(), [9, 8, 7]));
        assert_eq!((kept.size().height(), kept.size().width()), (1024, 512));
        assert!(kept.bytes().chunks_exact(3).all(|pixel| pixel == [9, 8, 7]));
    }
}
