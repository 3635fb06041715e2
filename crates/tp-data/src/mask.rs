//! Binary masks of objects and parts.

use ndarray::Array2;
use tp_core::{ImageHw, PixelXy};

use crate::BoxXywh;

/// A binary mask over a whole image, `[height, width]`, `true` = inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    inside: Array2<bool>,
}

impl Mask {
    /// Creates a mask from its pixels.
    #[must_use]
    pub fn new(inside: Array2<bool>) -> Self {
        Self { inside }
    }

    /// An empty mask.
    #[must_use]
    pub fn empty(size: ImageHw) -> Self {
        Self::new(Array2::from_elem((size.height() as usize, size.width() as usize), false))
    }

    /// The pixels, `[height, width]`.
    #[must_use]
    pub fn pixels(&self) -> &Array2<bool> {
        &self.inside
    }

    /// The pixels, mutable.
    #[must_use]
    pub fn pixels_mut(&mut self) -> &mut Array2<bool> {
        &mut self.inside
    }

    /// Whether a pixel is inside; pixels outside the image are not.
    #[must_use]
    pub fn contains(&self, row: usize, column: usize) -> bool {
        self.inside.get([row, column]).copied().unwrap_or(false)
    }

    /// The number of pixels inside.
    #[must_use]
    pub fn area(&self) -> usize {
        self.inside.iter().filter(|&&inside| inside).count()
    }

    /// The centroid of the pixels inside; `None` if there are none.
    #[must_use]
    pub fn centroid(&self) -> Option<PixelXy> {
        let (mut x, mut y, mut n) = (0.0, 0.0, 0.0);
        for ((row, column), &inside) in self.inside.indexed_iter() {
            if inside {
                (x, y, n) = (x + column as f64, y + row as f64, n + 1.0);
            }
        }
        (n > 0.0).then(|| PixelXy { x: x / n, y: y / n })
    }

    /// The centroid, if all pixels inside lie in the box, which is much faster.
    pub(crate) fn centroid_within(&self, bbox: &BoxXywh) -> Option<PixelXy> {
        let (height, width) = self.inside.dim();
        // A NaN becomes 0, and the range is empty.
        let range = |start: f64, length: f64, end: usize| {
            (start.floor() as usize)..((start + length).ceil() as usize).min(end)
        };
        let (mut x, mut y, mut n) = (0.0, 0.0, 0.0);
        for row in range(bbox.y, bbox.height, height) {
            for column in range(bbox.x, bbox.width, width) {
                if self.inside[[row, column]] {
                    (x, y, n) = (x + column as f64, y + row as f64, n + 1.0);
                }
            }
        }
        (n > 0.0).then(|| PixelXy { x: x / n, y: y / n })
    }

    /// The tight bounding box; `None` for an empty mask.
    #[must_use]
    pub fn bounding_box(&self) -> Option<BoxXywh> {
        let (mut top, mut left, mut bottom, mut right) = (usize::MAX, usize::MAX, 0, 0);
        for ((row, column), &inside) in self.inside.indexed_iter() {
            if inside {
                (top, bottom) = (top.min(row), bottom.max(row + 1));
                (left, right) = (left.min(column), right.max(column + 1));
            }
        }
        (top != usize::MAX).then(|| BoxXywh {
            x: left as f64,
            y: top as f64,
            width: (right - left) as f64,
            height: (bottom - top) as f64,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn centroid_within_the_box_is_the_centroid() {
        let mask = Mask::new(Array2::from_shape_fn((9, 13), |(row, column)| {
            row > 3 && column > 5 && (row * column) % 3 > 0
        }));
        assert_eq!(mask.centroid_within(&mask.bounding_box().unwrap()), mask.centroid());
        assert_eq!(
            mask.centroid_within(&BoxXywh { x: f64::NAN, y: -4.0, width: 1e300, height: 2.0 }),
            None
        );
    }

    #[test]
    fn bounding_box_is_tight() {
        let mut mask = Mask::empty(ImageHw::new(4, 6).unwrap());
        assert_eq!(mask.bounding_box(), None);
        mask.pixels_mut()[[1, 2]] = true;
        mask.pixels_mut()[[2, 4]] = true;
        assert_eq!(mask.bounding_box(), Some(BoxXywh { x: 2.0, y: 1.0, width: 3.0, height: 2.0 }));
        assert_eq!(mask.area(), 2);
    }
}
