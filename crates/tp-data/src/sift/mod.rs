//! The SIFT keypoint detector of OpenCV, without descriptors, which are not needed here.
//!
//! Source: D. Lowe, "Distinctive image features from scale-invariant keypoints" (2004); rules and
//! constants of OpenCV's `sift.dispatch.cpp` and `sift.simd.hpp`, in its single-precision path. See
//! `docs/decisions/0005-sift.md`.

mod blur;
mod extrema;
mod orientation;
mod scale_space;

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};
use tp_core::PixelXy;

use self::scale_space::{Octave, n_octaves, upsampled_base};
use crate::{DataError, GreyImage, Mask};

/// Options of the detector. Defaults and meanings are those of OpenCV.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SiftOptions {
    /// Keep this many of the strongest keypoints, and those equal to the last of them; 0 keeps all.
    pub n_features: usize,
    /// The number of searched scales per octave, 1 to 16.
    pub octave_layers: usize,
    /// The contrast threshold; it is divided by `octave_layers`.
    pub contrast: f32,
    /// The edge threshold: the maximum ratio of the larger to the smaller curvature.
    pub edge: f32,
    /// Blur of the first scale, in pixels of the doubled image.
    pub sigma: f32,
    /// How the image is doubled.
    pub upscale: Upscale,
    /// The maximum number of pixels; 96 bytes of memory are needed per pixel.
    pub max_pixels: usize,
}

impl Default for SiftOptions {
    fn default() -> Self {
        Self {
            n_features: 0,
            octave_layers: 3,
            contrast: 0.04,
            edge: 10.0,
            sigma: 1.6,
            upscale: Upscale::HalfPixel,
            max_pixels: 16_000_000,
        }
    }
}

/// How the image is doubled before the search.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Upscale {
    /// Like an ordinary resize, which shifts every keypoint by a quarter of a pixel: OpenCV's
    /// default.
    #[default]
    HalfPixel,
    /// Pixel `x` becomes pixel `2x`: no shift (`enable_precise_upscale`).
    Precise,
}

/// A keypoint. Several keypoints may differ only in their angle.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SiftKeypoint {
    /// Column; pixel centers are at integers.
    pub x: f32,
    /// Row.
    pub y: f32,
    /// Diameter of the blob in pixels.
    pub size: f32,
    /// Dominant direction in degrees, clockwise in the image, in `[0, 360)`.
    pub angle: f32,
    /// Contrast, with brightness from 0 to 1.
    pub response: f32,
    /// Octave; -1 is the doubled image.
    pub octave: i32,
    /// Scale within the octave, from 1.
    pub layer: u32,
}

impl SiftKeypoint {
    /// The position.
    #[must_use]
    pub fn point(&self) -> PixelXy {
        PixelXy { x: f64::from(self.x), y: f64::from(self.y) }
    }

    /// The `[row, column]` of the pixel that OpenCV uses to decide whether a keypoint is inside a
    /// mask.
    #[must_use]
    pub fn pixel(&self) -> [usize; 2] {
        [(self.y + 0.5) as usize, (self.x + 0.5) as usize]
    }

    /// Whether it is inside a mask.
    #[must_use]
    pub fn is_in(&self, mask: &Mask) -> bool {
        let [row, column] = self.pixel();
        mask.contains(row, column)
    }
}

/// All keypoints of an image, strongest first; equal responses by row, column and octave.
///
/// The result does not depend on the number of threads. To find the keypoints of a part, search the
/// whole image once and keep those [inside](SiftKeypoint::is_in) the part; cropping the part would
/// create keypoints on its outline.
///
/// # Errors
///
/// [`DataError::SiftOptions`] for invalid options, [`DataError::TooManyPixels`] for an image with
/// more than `max_pixels`.
pub fn sift_keypoints(
    grey: &GreyImage,
    options: &SiftOptions,
) -> Result<Vec<SiftKeypoint>, DataError> {
    options.check()?;
    if grey.size().n_pixels() > options.max_pixels {
        return Err(DataError::TooManyPixels { size: grey.size(), max: options.max_pixels });
    }
    let base = upsampled_base(grey, options);
    let n_octaves = n_octaves(&base);
    let mut keypoints = Vec::new();
    let mut next = (n_octaves > 0).then_some(base);
    for index in 0..n_octaves {
        let Some(first) = next.take() else { break };
        let octave = Octave::new(first, options);
        keypoints.extend(extrema::keypoints_of_octave(&octave, index, options));
        next = octave.next_base(options);
    }
    without_duplicates(&mut keypoints);
    keep_strongest(&mut keypoints, options.n_features);
    // The search ran on the doubled image.
    for keypoint in &mut keypoints {
        (keypoint.x, keypoint.y, keypoint.size) =
            (keypoint.x * 0.5, keypoint.y * 0.5, keypoint.size * 0.5);
        keypoint.octave -= 1;
    }
    Ok(keypoints)
}

impl SiftOptions {
    fn check(&self) -> Result<(), DataError> {
        let positive = |v: f32| v.is_finite() && v > 0.0;
        let problem = if !(1..=16).contains(&self.octave_layers) {
            format!("octave_layers must be from 1 to 16, got {}", self.octave_layers)
        } else if !(0.0..=1.0).contains(&self.contrast) {
            format!("contrast must be in [0, 1], got {}", self.contrast)
        } else if !positive(self.edge) || !positive(self.sigma) || self.sigma > 16.0 {
            format!(
                "edge must be positive and sigma in (0, 16], got {} and {}",
                self.edge, self.sigma
            )
        } else {
            return Ok(());
        };
        Err(DataError::SiftOptions { problem })
    }
}

/// Keeps one of several keypoints with equal position, size and angle, like OpenCV: the strongest,
/// of the highest octave.
fn without_duplicates(keypoints: &mut Vec<SiftKeypoint>) {
    keypoints.sort_unstable_by(|a, b| {
        let place =
            a.x.total_cmp(&b.x)
                .then(a.y.total_cmp(&b.y))
                .then(b.size.total_cmp(&a.size))
                .then(a.angle.total_cmp(&b.angle));
        place
            .then(b.response.total_cmp(&a.response))
            .then(b.octave.cmp(&a.octave))
            .then(b.layer.cmp(&a.layer))
    });
    keypoints.dedup_by(|a, b| a.x == b.x && a.y == b.y && a.size == b.size && a.angle == b.angle);
}

fn keep_strongest(keypoints: &mut Vec<SiftKeypoint>, n_features: usize) {
    keypoints.sort_unstable_by(strongest_first);
    if let Some(last) = n_features.checked_sub(1).and_then(|last| keypoints.get(last)).copied() {
        keypoints.retain(|keypoint| keypoint.response >= last.response);
    }
}

/// By response, then row, column and octave; keypoints that are still equal differ in size or
/// angle.
fn strongest_first(a: &SiftKeypoint, b: &SiftKeypoint) -> Ordering {
    b.response
        .total_cmp(&a.response)
        .then(a.y.total_cmp(&b.y))
        .then(a.x.total_cmp(&b.x))
        .then(a.octave.cmp(&b.octave))
        .then(b.size.total_cmp(&a.size))
        .then(a.angle.total_cmp(&b.angle))
}

#[cfg(test)]
mod tests {
    use tp_core::ImageHw;

    use super::*;

    fn grey(height: u32, width: u32, pixel: impl Fn(usize, usize) -> u8) -> GreyImage {
        let n = (height * width) as usize;
        GreyImage::from_bytes(
            ImageHw::new(height, width).unwrap(),
            (0..n).map(|at| pixel(at / width as usize, at % width as usize)).collect(),
        )
        .unwrap()
    }

    /// Sixty Gaussian blobs, bright and dark.
    fn blobs() -> GreyImage {
        grey(240, 320, |row, column| {
            let mut value = 40.0_f64;
            for k in 0..60_u32 {
                let (x, y) = (f64::from(97 * k % 320), f64::from((53 * k + 17) % 240));
                let (sigma, amplitude) = (f64::from(3 + 7 * k % 15), f64::from(60 + 29 * k % 120));
                let blob = amplitude
                    * (-((column as f64 - x).powi(2) + (row as f64 - y).powi(2))
                        / (2.0 * sigma * sigma))
                        .exp();
                value += if k % 2 == 1 { blob } else { -blob };
            }
            value.round_ties_even().clamp(0.0, 255.0) as u8
        })
    }

    #[test]
    fn blobs_give_the_keypoints_that_opencv_finds() {
        // OpenCV 4.10 and 5.0: 45 keypoints; the first three by column.
        let mut found = sift_keypoints(&blobs(), &SiftOptions::default()).unwrap();
        assert_eq!(found.len(), 45);
        found.sort_by(|a, b| a.x.total_cmp(&b.x));
        let expected = [
            [11.2118, 136.2323, 7.0682, 0.051654],
            [22.8051, 117.2715, 23.1786, 0.037838],
            [24.32, 187.4069, 21.2991, 0.072002],
        ];
        for (found, [x, y, size, response]) in found.iter().zip(expected) {
            assert!((found.x - x).abs() < 0.01 && (found.y - y).abs() < 0.01, "{found:?}");
            assert!(
                (found.size - size).abs() < 0.01 && (found.response - response).abs() < 1e-5,
                "{found:?}"
            );
        }
    }

    #[test]
    fn precise_upscale_removes_the_quarter_of_a_pixel() {
        // OpenCV with `enable_precise_upscale`: 52 keypoints, the first at (10.984, 135.995).
        let mut found = sift_keypoints(
            &blobs(),
            &SiftOptions { upscale: Upscale::Precise, ..Default::default() },
        )
        .unwrap();
        found.sort_by(|a, b| a.x.total_cmp(&b.x));
        assert_eq!(found.len(), 52);
        assert!(
            (found[0].x - 10.984).abs() < 0.01 && (found[0].y - 135.995).abs() < 0.01,
            "{:?}",
            found[0]
        );
    }

    #[test]
    fn strongest_come_first_and_ties_of_the_last_stay() {
        let all = sift_keypoints(&blobs(), &SiftOptions::default()).unwrap();
        assert!(all.is_sorted_by(|a, b| strongest_first(a, b) != Ordering::Greater));
        let few = sift_keypoints(&blobs(), &SiftOptions { n_features: 10, ..Default::default() })
            .unwrap();
        assert!(few.len() >= 10);
        assert_eq!(few, all[..few.len()]);
        assert!(all[few.len()].response < all[9].response);
    }

    #[test]
    fn number_of_threads_changes_nothing() {
        let image = blobs();
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| sift_keypoints(&image, &SiftOptions::default()).unwrap())
        };
        assert_eq!(on(1), on(3));
    }

    #[test]
    fn plain_and_tiny_images_have_no_keypoint() {
        assert_eq!(sift_keypoints(&grey(40, 60, |_, _| 99), &SiftOptions::default()).unwrap(), []);
        for (height, width) in [(1, 1), (1, 500), (3, 3), (2, 11), (11, 11)] {
            let noisy = grey(height, width, |row, column| (row * 91 + column * 57) as u8);
            sift_keypoints(&noisy, &SiftOptions::default()).unwrap();
        }
    }

    #[test]
    fn impossible_options_and_huge_images_are_refused() {
        let image = grey(8, 8, |_, _| 0);
        let bad = [
            SiftOptions { octave_layers: 0, ..Default::default() },
            SiftOptions { contrast: f32::NAN, ..Default::default() },
            SiftOptions { edge: 0.0, ..Default::default() },
            SiftOptions { sigma: f32::INFINITY, ..Default::default() },
        ];
        for options in bad {
            assert!(
                matches!(sift_keypoints(&image, &options), Err(DataError::SiftOptions { .. })),
                "{options:?}"
            );
        }
        let small = SiftOptions { max_pixels: 63, ..Default::default() };
        assert!(matches!(
            sift_keypoints(&image, &small),
            Err(DataError::TooManyPixels { max: 63, .. })
        ));
    }
}
