//! The intersection of two boxes.

use tp_core::ImageHw;

use crate::BoxXywh;

impl BoxXywh {
    /// The box around all pixels of an image.
    pub(crate) fn of_image(size: ImageHw) -> Self {
        Self { x: 0.0, y: 0.0, width: f64::from(size.width()), height: f64::from(size.height()) }
    }

    /// The intersection of two boxes; `None` if it is empty.
    pub(crate) fn intersection(&self, other: &Self) -> Option<Self> {
        let (x, width) = overlap([self.x, self.width], [other.x, other.width])?;
        let (y, height) = overlap([self.y, self.height], [other.y, other.height])?;
        Some(Self { x, y, width, height })
    }
}

/// The start and length of the overlap of two intervals, if all numbers are finite. An interval
/// inside the other keeps its exact numbers.
fn overlap(a: [f64; 2], b: [f64; 2]) -> Option<(f64, f64)> {
    let (start, end) = (a[0].max(b[0]), (a[0] + a[1]).min(b[0] + b[1]));
    let length = if start == a[0] && end == a[0] + a[1] { a[1] } else { end - start };
    let finite = a.iter().chain(&b).all(|v| v.is_finite()); // `max` and `min` ignore NaN
    (finite && length > 0.0).then_some((start, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_that_only_touch_share_nothing() {
        let left = BoxXywh { x: 0.0, y: 0.0, width: 2.0, height: 2.0 };
        let right = BoxXywh { x: 2.0, ..left };
        assert_eq!(left.intersection(&right), None);
        let both = left.intersection(&BoxXywh { x: 1.5, y: -1.0, width: 9.0, height: 2.0 });
        assert_eq!(both, Some(BoxXywh { x: 1.5, y: 0.0, width: 0.5, height: 1.0 }));
    }
}
