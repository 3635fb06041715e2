//! Points in three coordinate systems, distinguished by type.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ImageHw;

/// A point in pixels of an image; pixel centers are at integers, as in OpenCV keypoints. Any value
/// is possible until [`ImageHw::unit_from_pixel`] validates it against the image.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PixelXy {
    /// Columns to the right of the center of the first column.
    pub x: f64,
    /// Rows below the center of the first row.
    pub y: f64,
}

impl FromStr for PixelXy {
    type Err = PointError;

    /// Parses `X,Y`: two numbers separated by a comma.
    ///
    /// # Errors
    ///
    /// [`PointError::NotTwoNumbers`].
    fn from_str(text: &str) -> Result<Self, PointError> {
        let refuse = || PointError::NotTwoNumbers { text: text.to_owned() };
        let (x, y) = text.split_once(',').ok_or_else(refuse)?;
        let number = |text: &str| text.trim().parse::<f64>().map_err(|_| refuse());
        Ok(Self { x: number(x)?, y: number(y)? })
    }
}

/// A point in the unit square of the *original* image: `u = (x + 0.5) / width`, always finite and
/// in `[0, 1]`.
///
/// The paper's coordinate system for points and distances (section on evaluation).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Pair", into = "Pair")]
pub struct UnitXy {
    x: f64,
    y: f64,
}

/// A point in the unit square of the model's input, after [`Letterbox`](crate::Letterbox).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelXy {
    /// From the left edge (0) to the right edge (1).
    pub x: f64,
    /// From the top edge (0) to the bottom edge (1).
    pub y: f64,
}

/// Why a point or an image size is invalid.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages name the fields")]
#[non_exhaustive]
pub enum PointError {
    /// A text that does not consist of two numbers.
    #[error(
        "`{text}` is not a point: write two numbers, the column and the row in pixels, as in 120,85"
    )]
    NotTwoNumbers { text: String },
    /// A pixel position outside the image or not finite.
    #[error("point ({x}, {y}) is not in the image, which is {} pixels wide and {} high: x may be from -0.5 to {}, y from -0.5 to {}", size.width(), size.height(), f64::from(size.width()) - 0.5, f64::from(size.height()) - 0.5)]
    OutsideImage { x: f64, y: f64, size: ImageHw },
    /// A position outside the unit square or not finite.
    #[error("point ({x}, {y}) is not in the unit square: both numbers must lie in [0, 1]")]
    OutsideUnitSquare { x: f64, y: f64 },
    /// An image without pixels.
    #[error("an image of {height} rows and {width} columns has no pixels")]
    EmptyImage { height: u32, width: u32 },
    /// A pixel buffer whose length does not match the size.
    #[error(
        "an RGB image of {height} rows and {width} columns needs {expected} bytes, got {actual}"
    )]
    BufferSize { height: u32, width: u32, expected: usize, actual: usize },
}

impl UnitXy {
    /// Creates a point of the unit square.
    ///
    /// # Errors
    ///
    /// [`PointError::OutsideUnitSquare`] if a coordinate is not in `[0, 1]`.
    pub fn new(x: f64, y: f64) -> Result<Self, PointError> {
        if (0.0..=1.0).contains(&x) && (0.0..=1.0).contains(&y) {
            Ok(Self { x, y })
        } else {
            Err(PointError::OutsideUnitSquare { x, y })
        }
    }

    /// The nearest point of the unit square. A NaN coordinate becomes ½, so that one invalid
    /// prediction does not fail its whole batch.
    #[must_use]
    pub fn nearest(x: f64, y: f64) -> Self {
        let clamp = |v: f64| if v.is_nan() { 0.5 } else { v.clamp(0.0, 1.0) };
        Self { x: clamp(x), y: clamp(y) }
    }

    /// From the left edge (0) to the right edge (1).
    #[must_use]
    pub fn x(self) -> f64 {
        self.x
    }

    /// From the top edge (0) to the bottom edge (1).
    #[must_use]
    pub fn y(self) -> f64 {
        self.y
    }

    /// The Euclidean distance in the unit square: the paper's error, anisotropic in pixels unless
    /// the image is square.
    #[must_use]
    pub fn distance(self, other: Self) -> f64 {
        (self.x - other.x).hypot(self.y - other.y)
    }
}

/// The JSON representation of a unit point.
#[derive(Serialize, Deserialize)]
struct Pair {
    x: f64,
    y: f64,
}

impl TryFrom<Pair> for UnitXy {
    type Error = PointError;

    fn try_from(Pair { x, y }: Pair) -> Result<Self, PointError> {
        Self::new(x, y)
    }
}

impl From<UnitXy> for Pair {
    fn from(UnitXy { x, y }: UnitXy) -> Self {
        Self { x, y }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn point_is_two_numbers_with_a_comma() {
        assert_eq!("12,3.5".parse::<PixelXy>().unwrap(), PixelXy { x: 12.0, y: 3.5 });
        assert!("nan,3".parse::<PixelXy>().unwrap().x.is_nan()); // rejected later, together with the size of the image
        assert_eq!(" -1 , 1e3 ".parse::<PixelXy>().unwrap(), PixelXy { x: -1.0, y: 1000.0 });
        for text in ["", "12", "12;3", "a,b", "1,2,3", "1 2", "1,", ",2", "0x10,5", "--json"] {
            assert!(
                text.parse::<PixelXy>().unwrap_err().to_string().contains("as in 120,85"),
                "{text}"
            );
        }
    }

    #[test]
    fn unit_point_refuses_what_is_not_in_the_square() {
        for (x, y) in [(f64::NAN, 0.5), (0.5, f64::INFINITY), (-0.01, 0.5), (0.5, 1.01)] {
            assert!(UnitXy::new(x, y).is_err(), "({x}, {y})");
        }
        assert!(UnitXy::new(0.0, 1.0).is_ok());
    }

    #[test]
    fn unit_point_from_json_is_checked_too() {
        assert!(serde_json::from_str::<UnitXy>(r#"{"x":0.25,"y":2.0}"#).is_err());
        let point: UnitXy = serde_json::from_str(r#"{"x":0.25,"y":0.5}"#).unwrap();
        assert_eq!(serde_json::to_string(&point).unwrap(), r#"{"x":0.25,"y":0.5}"#);
    }

    #[test]
    fn distance_is_euclidean_in_the_unit_square() {
        let (a, b) = (UnitXy::new(0.1, 0.1).unwrap(), UnitXy::new(0.4, 0.5).unwrap());
        assert!((a.distance(b) - 0.5).abs() < 1e-15); // a 3-4-5 triangle
    }
}
