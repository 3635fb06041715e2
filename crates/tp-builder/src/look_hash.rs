//! A perceptual hash: similar pictures have hashes with a small Hamming distance, regardless of
//! size and compression.
//!
//! The difference hash of Neal Krawetz: the mean gray values of nine by eight cells, and whether
//! each is darker than its right neighbor.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use tp_core::RgbImage;

/// Columns of the grid; rows follow.
const COLUMNS: usize = 9;
const ROWS: usize = 8;
/// The minimum contrast between cells, in gray levels. Below it the bits would be noise, so there
/// is no hash.
const MIN_CONTRAST: f64 = 4.0;

/// A 64-bit perceptual hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LookHash(pub u64);

impl LookHash {
    /// The hash of a picture; `None` without contrast.
    #[must_use]
    pub fn of(image: &RgbImage) -> Option<Self> {
        let cells = cell_means(image);
        let (darkest, brightest) = cells
            .as_flattened()
            .iter()
            .fold((f64::MAX, f64::MIN), |(low, high), &v| (low.min(v), high.max(v)));
        if brightest - darkest < MIN_CONTRAST {
            return None;
        }
        let bits =
            cells.iter().flat_map(|row| row.windows(2).map(|pair| u64::from(pair[0] < pair[1])));
        Some(Self(bits.fold(0, |hash, bit| hash << 1 | bit)))
    }

    /// The Hamming distance.
    #[must_use]
    pub fn distance(self, other: Self) -> u32 {
        (self.0 ^ other.0).count_ones()
    }
}

/// The mean gray value of every cell of the grid.
fn cell_means(image: &RgbImage) -> [[f64; COLUMNS]; ROWS] {
    let (height, width) = (image.size().height() as usize, image.size().width() as usize);
    // The pixels of a cell. In a picture with fewer pixels than cells, several cells share pixels.
    let cell = |at: usize, n: usize, pixels: usize| {
        (at * pixels / n, ((at + 1) * pixels / n).max(at * pixels / n + 1))
    };
    std::array::from_fn(|row| {
        let (top, bottom) = cell(row, ROWS, height);
        std::array::from_fn(|column| {
            let (left, right) = cell(column, COLUMNS, width);
            let sums = (top..bottom).map(|y| {
                let bytes = &image.bytes()[(y * width + left) * 3..(y * width + right) * 3];
                bytes
                    .chunks_exact(3)
                    .map(|rgb| {
                        u64::from(rgb[0]) * 299 + u64::from(rgb[1]) * 587 + u64::from(rgb[2]) * 114
                    })
                    .sum::<u64>()
            });
            sums.sum::<u64>() as f64 / 1000.0 / ((bottom - top) * (right - left)) as f64
        })
    })
}

impl fmt::Display for LookHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for LookHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for LookHash {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(Self)
    }
}

impl TryFrom<String> for LookHash {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<LookHash> for String {
    fn from(hash: LookHash) -> Self {
        hash.to_string()
    }
}

#[cfg(test)]
mod tests {
    use tp_core::ImageHw;

    use super::*;

    fn ramp(height: u32, width: u32, rising: bool) -> RgbImage {
        let size = ImageHw::new(height, width).unwrap();
        let mut image = RgbImage::filled(size, [0; 3]);
        for row in 0..height as usize {
            for column in 0..width as usize {
                let grey = (column * 255 / width as usize) as u8;
                image.set_pixel(row, column, [if rising { grey } else { 255 - grey }; 3]);
            }
        }
        image
    }

    #[test]
    fn ramps_set_all_bits_or_none_at_any_size() {
        assert_eq!(LookHash::of(&ramp(64, 90, true)), Some(LookHash(u64::MAX)));
        assert_eq!(LookHash::of(&ramp(7, 300, true)), Some(LookHash(u64::MAX)));
        assert_eq!(LookHash::of(&ramp(64, 90, false)), Some(LookHash(0)));
        assert_eq!(LookHash(u64::MAX).distance(LookHash(0)), 64);
    }

    #[test]
    fn flat_picture_has_no_look() {
        assert_eq!(
            LookHash::of(&RgbImage::filled(ImageHw::new(5, 3).unwrap(), [90, 90, 90])),
            None
        );
    }
}
