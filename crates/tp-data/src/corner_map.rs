//! Corners and smooth regions of an image, measured once for all its parts.
//!
//! The structure tensor of the brightness, under a small Gaussian window: its smaller eigenvalue is
//! the corner response (Shi and Tomasi, "Good features to track", 1994), its trace measures the
//! local contrast.

use ndarray::Array2;
use rand::{Rng, RngExt};
use tp_core::PixelXy;

use crate::region::{Region, RegionDepth};

/// Responses below this are noise: with brightness from 0 to 1, a corner with a tenth of the range
/// has a response of about 10⁻³.
const MIN_RESPONSE: f32 = 2e-5;
/// Corners at this distance in pixels from the outline of their region are preferred, because
/// corners on the outline also belong to the background.
const PREFERRED_DEPTH: u16 = 2;
/// The maximum number of sampled pixels for finding the smoothest quarter.
const MAX_CANDIDATES: usize = 2048;

/// The corner response and the local contrast of every pixel of an image.
#[derive(Clone, Debug)]
pub struct CornerMap {
    response: Array2<f32>,
    contrast: Array2<f32>,
}

impl CornerMap {
    /// Measures a plane of brightness, `[height, width]`, from 0 to 1 (see
    /// [`grey_plane`](crate::grey_plane)).
    #[must_use]
    pub fn new(grey: &Array2<f32>) -> Self {
        const SMOOTH: [f32; 3] = [0.25, 0.5, 0.25];
        const SLOPE: [f32; 3] = [-0.5, 0.0, 0.5];
        const WINDOW: [f32; 5] = [0.0625, 0.25, 0.375, 0.25, 0.0625]; // a binomial: a Gaussian of sigma 1
        let dx = filtered(grey, &SLOPE, &SMOOTH);
        let dy = filtered(grey, &SMOOTH, &SLOPE);
        let xx = filtered(&(&dx * &dx), &WINDOW, &WINDOW);
        let xy = filtered(&(&dx * &dy), &WINDOW, &WINDOW);
        let yy = filtered(&(&dy * &dy), &WINDOW, &WINDOW);
        let contrast = &xx + &yy;
        let mut response = xx;
        ndarray::Zip::from(&mut response).and(&xy).and(&yy).for_each(|xx, &xy, &yy| {
            let (mean, half_difference) = ((*xx + yy) * 0.5, (*xx - yy) * 0.5);
            *xx = mean - (half_difference * half_difference + xy * xy).sqrt();
        });
        Self { response, contrast }
    }

    /// The strongest corner inside a region, if there is any.
    ///
    /// At least two pixels from the outline if possible, else one, else anywhere inside. Of equal
    /// corners, the upper one, then the left one.
    #[must_use]
    pub fn strongest_corner(&self, region: Region<'_>) -> Option<PixelXy> {
        self.strongest_corner_at(&RegionDepth::new(region, self.response.dim())?)
    }

    /// A point with little local contrast: random among the smoothest quarter of the pixels in the
    /// inner half of the region. `None` if the region has no pixel.
    #[must_use]
    pub fn smooth_point(&self, region: Region<'_>, rng: &mut impl Rng) -> Option<PixelXy> {
        self.smooth_point_at(&RegionDepth::new(region, self.response.dim())?, rng)
    }

    pub(crate) fn strongest_corner_at(&self, region: &RegionDepth) -> Option<PixelXy> {
        let mut best: [Option<(f32, PixelXy)>; PREFERRED_DEPTH as usize + 1] = Default::default();
        region.for_each_inside(|row, column, depth| {
            let response = self.response[[row, column]];
            let level = (depth - 1).min(PREFERRED_DEPTH) as usize;
            if response >= MIN_RESPONSE
                && best[level].is_none_or(|(strongest, _)| response > strongest)
            {
                best[level] = Some((response, pixel(row, column)));
            }
        });
        best.into_iter().rev().flatten().next().map(|(_, point)| point)
    }

    pub(crate) fn smooth_point_at(
        &self,
        region: &RegionDepth,
        rng: &mut impl Rng,
    ) -> Option<PixelXy> {
        let mut deepest = 0;
        region.for_each_inside(|_, _, depth| deepest = deepest.max(depth));
        let mut inner = Vec::new();
        region.for_each_inside(|row, column, depth| {
            if depth * 2 > deepest {
                inner.push((row as u32, column as u32));
            }
        });
        // A regular sample of the pixels of a large region is sufficient.
        let step = inner.len().div_ceil(MAX_CANDIDATES).max(1);
        let contrast = |&(row, column): &(u32, u32)| self.contrast[[row as usize, column as usize]];
        let mut candidates: Vec<_> =
            inner.iter().step_by(step).map(|place| (contrast(place), *place)).collect();
        let n_quiet = candidates.len().div_ceil(4);
        let order =
            |a: &(f32, (u32, u32)), b: &(f32, (u32, u32))| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
        let (quiet, loudest, _) = candidates.select_nth_unstable_by(n_quiet.checked_sub(1)?, order);
        let (quiet, loudest) = (&mut quiet[..], *loudest);
        // Selection only determines the set, so it is sorted for reproducibility.
        quiet.sort_unstable_by_key(|&(_, place)| place);
        let (_, (row, column)) =
            quiet.get(rng.random_range(0..n_quiet)).copied().unwrap_or(loudest);
        Some(pixel(row as usize, column as usize))
    }
}

fn pixel(row: usize, column: usize) -> PixelXy {
    PixelXy { x: column as f64, y: row as f64 }
}

/// Correlation with `along_x` along the rows, then with `along_y` along the columns. Both have odd
/// length, and the border is replicated.
fn filtered(plane: &Array2<f32>, along_x: &[f32], along_y: &[f32]) -> Array2<f32> {
    let (height, width) = plane.dim();
    let mut rows = vec![0.0; height * width];
    let reach = along_x.len() / 2;
    let mut padded = vec![0.0; width + 2 * reach];
    for (row, out) in plane.rows().into_iter().zip(rows.chunks_exact_mut(width)) {
        for (padded, &value) in padded[reach..].iter_mut().zip(row) {
            *padded = value;
        }
        let (first, last) = (padded[reach], padded[reach + width - 1]);
        padded[..reach].fill(first);
        padded[reach + width..].fill(last);
        for (offset, &weight) in along_x.iter().enumerate() {
            accumulate(out, &padded[offset..], weight);
        }
    }
    let reach = along_y.len() / 2;
    let mut result = vec![0.0; height * width];
    for (row, out) in result.chunks_exact_mut(width).enumerate() {
        for (offset, &weight) in along_y.iter().enumerate() {
            let from = (row + offset).saturating_sub(reach).min(height - 1);
            accumulate(out, &rows[from * width..], weight);
        }
    }
    Array2::from_shape_vec((height, width), result).expect("one value per pixel")
}

fn accumulate(out: &mut [f32], values: &[f32], weight: f32) {
    for (out, value) in out.iter_mut().zip(values) {
        *out += weight * value;
    }
}

#[cfg(test)]
mod tests {
    use tp_core::{ImageHw, Seed};

    use super::*;
    use crate::{BoxXywh, Mask};

    /// A bright rectangle on black; its corners are the only corners.
    fn rectangle() -> CornerMap {
        CornerMap::new(&Array2::from_shape_fn((40, 50), |(row, column)| {
            f32::from((10..30).contains(&row) && (12..36).contains(&column))
        }))
    }

    #[test]
    fn strongest_corner_is_the_corner_in_the_box() {
        let bbox = BoxXywh { x: 25.0, y: 20.0, width: 25.0, height: 20.0 };
        let found = rectangle().strongest_corner(Region::Box(bbox)).unwrap();
        assert!((found.x - 35.0).abs() <= 1.0 && (found.y - 29.0).abs() <= 1.0, "{found:?}");
    }

    #[test]
    fn equal_corners_give_the_upper_left_one() {
        let bbox = BoxXywh { x: 0.0, y: 0.0, width: 50.0, height: 40.0 };
        let found = rectangle().strongest_corner(Region::Box(bbox)).unwrap();
        assert!((found.x - 12.0).abs() <= 1.0 && (found.y - 10.0).abs() <= 1.0, "{found:?}");
    }

    #[test]
    fn an_edge_and_a_plain_surface_have_no_corner() {
        let map = rectangle();
        for bbox in [
            BoxXywh { x: 15.0, y: 5.0, width: 10.0, height: 10.0 },
            BoxXywh { x: 18.0, y: 15.0, width: 10.0, height: 10.0 },
        ] {
            assert_eq!(map.strongest_corner(Region::Box(bbox)), None);
        }
    }

    #[test]
    fn smooth_point_is_inside_and_quiet() {
        let map = rectangle();
        // The mask crosses the upper edge at row 10.
        let mask = Mask::new(Array2::from_shape_fn((40, 50), |(row, column)| {
            (5..25).contains(&row) && (20..24).contains(&column)
        }));
        for draw in 0..200 {
            let point = map.smooth_point(Region::Mask(&mask), &mut Seed(draw).rng()).unwrap();
            assert!(mask.contains(point.y as usize, point.x as usize), "{point:?}");
            assert!((point.y - 9.5).abs() > 2.0, "{point:?}");
        }
    }

    #[test]
    fn regions_of_one_pixel_or_none_do_not_panic() {
        let map = CornerMap::new(&Array2::from_elem((1, 1), 0.5));
        let whole = BoxXywh { x: 0.0, y: 0.0, width: 1.0, height: 1.0 };
        assert_eq!(
            map.smooth_point(Region::Box(whole), &mut Seed(0).rng()),
            Some(PixelXy { x: 0.0, y: 0.0 })
        );
        assert_eq!(map.strongest_corner(Region::Box(whole)), None);
        for (x, width) in
            [(5.0, 1.0), (-3.0, 1.0), (0.6, 0.2), (f64::NAN, 1.0), (0.0, f64::INFINITY)]
        {
            let point =
                map.smooth_point(Region::Box(BoxXywh { x, width, ..whole }), &mut Seed(0).rng());
            assert_eq!(point.is_some(), width.is_infinite());
        }
        let empty = Mask::empty(ImageHw::new(1, 1).unwrap());
        assert_eq!(map.smooth_point(Region::Mask(&empty), &mut Seed(0).rng()), None);
    }
}
