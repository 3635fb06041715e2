//! Letterboxing: fits an image of any shape into the model's square input, and maps points between
//! the two.

use serde::{Deserialize, Serialize};

use crate::{ImageHw, ModelXy, UnitXy};

/// How a rectangle is fitted into a square.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// Pad the shorter side to the longer one, with an odd pixel at the bottom or right, then
    /// resize. This is the method of the base model (OMG-LLaVA, `expand2square`).
    #[default]
    PadToSquare,
    /// Resize both sides independently.
    Stretch,
}

/// Maps between the unit square of an original image and the unit square of the model's input.
///
/// Both are continuous coordinates, so the size of the model's input does not matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letterbox {
    original: ImageHw,
    fit: Fit,
}

impl Letterbox {
    /// The letterbox of one image.
    #[must_use]
    pub fn new(original: ImageHw, fit: Fit) -> Self {
        Self { original, fit }
    }

    /// The size of the original image.
    #[must_use]
    pub fn original(&self) -> ImageHw {
        self.original
    }

    /// The method of fitting.
    #[must_use]
    pub fn fit(&self) -> Fit {
        self.fit
    }

    /// The size before resizing: the padded square, or the image itself.
    #[must_use]
    pub fn canvas(&self) -> [u32; 2] {
        let (height, width) = (self.original.height(), self.original.width());
        match self.fit {
            Fit::PadToSquare => [height.max(width); 2],
            Fit::Stretch => [height, width],
        }
    }

    /// The padding `[above, left]` of the image, in pixels of the original.
    #[must_use]
    pub fn padding(&self) -> [u32; 2] {
        let [canvas_height, canvas_width] = self.canvas();
        [(canvas_height - self.original.height()) / 2, (canvas_width - self.original.width()) / 2]
    }

    /// Maps a point of the image to the model's input.
    #[must_use]
    pub fn model_from_unit(&self, point: UnitXy) -> ModelXy {
        let [scale_x, scale_y, offset_x, offset_y] = self.affine();
        ModelXy { x: point.x() * scale_x + offset_x, y: point.y() * scale_y + offset_y }
    }

    /// Maps a point of the model's input to the image: the inverse of
    /// [`model_from_unit`](Self::model_from_unit). A point on the padding is mapped to the nearest
    /// edge of the image.
    #[must_use]
    pub fn unit_from_model(&self, point: ModelXy) -> UnitXy {
        let [scale_x, scale_y, offset_x, offset_y] = self.affine();
        UnitXy::nearest((point.x - offset_x) / scale_x, (point.y - offset_y) / scale_y)
    }

    /// `[scale_x, scale_y, offset_x, offset_y]` of model = unit · scale + offset.
    fn affine(&self) -> [f64; 4] {
        let ([canvas_height, canvas_width], [above, left]) =
            (self.canvas().map(f64::from), self.padding().map(f64::from));
        [
            f64::from(self.original.width()) / canvas_width,
            f64::from(self.original.height()) / canvas_height,
            left / canvas_width,
            above / canvas_height,
        ]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn odd_pixel_of_padding_goes_to_the_bottom() {
        // 5 wide, 2 high: 3 rows to add, 1 above and 2 below.
        let letterbox = Letterbox::new(ImageHw::new(2, 5).unwrap(), Fit::PadToSquare);
        assert_eq!((letterbox.canvas(), letterbox.padding()), ([5, 5], [1, 0]));
        let top = letterbox.model_from_unit(UnitXy::new(0.0, 0.0).unwrap());
        assert_eq!((top.x, top.y), (0.0, 0.2));
    }

    #[test]
    fn point_on_the_padding_goes_to_the_nearest_edge() {
        let letterbox = Letterbox::new(ImageHw::new(100, 200).unwrap(), Fit::PadToSquare);
        let point = letterbox.unit_from_model(ModelXy { x: 0.5, y: 0.1 });
        assert_eq!((point.x(), point.y()), (0.5, 0.0));
    }

    proptest! {
        #[test]
        fn model_and_back_is_the_identity(h in 1u32..4000, w in 1u32..4000, x in 0.0..=1.0, y in 0.0..=1.0, pad in any::<bool>()) {
            let fit = if pad { Fit::PadToSquare } else { Fit::Stretch };
            let letterbox = Letterbox::new(ImageHw::new(h, w).unwrap(), fit);
            let point = UnitXy::new(x, y).unwrap();
            let model = letterbox.model_from_unit(point);
            prop_assert!((0.0..=1.0).contains(&model.x) && (0.0..=1.0).contains(&model.y));
            // The unit square of a very thin image is a small part of the canvas, so rounding grows
            // with the aspect ratio.
            let slack = 1e-15 * f64::from(h.max(w)) / f64::from(h.min(w)) + 1e-15;
            prop_assert!(letterbox.unit_from_model(model).distance(point) < 4.0 * slack);
        }
    }
}
