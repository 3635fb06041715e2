//! Separable Gaussian blur of single-precision planes, with OpenCV's kernel length and border
//! handling.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::scale_space::Plane;

/// The number of columns whose sums are kept in registers.
const LANES: usize = 32;
/// The minimum number of rows per task.
const MIN_ROWS: usize = 32;

/// Blurs a plane; the image is mirrored beyond its border, about the last pixel.
pub(super) fn blurred(plane: &Plane, sigma: f64) -> Plane {
    let kernel = half_kernel(sigma);
    let mut result = Plane::zeros(plane.height, plane.width);
    // One band per thread, because every band filters a few rows of its neighbors again.
    let rows = plane.height.div_ceil(rayon::current_num_threads()).max(MIN_ROWS);
    let bands = result.values.par_chunks_mut(rows * plane.width).enumerate();
    bands.for_each(|(index, band)| {
        pulp::Arch::new().dispatch(Band { plane, kernel: &kernel, top: index * rows, out: band })
    });
    result
}

/// The center of the kernel and its right half.
fn half_kernel(sigma: f64) -> Vec<f32> {
    let length = (sigma * 8.0 + 1.0).round_ties_even() as usize | 1;
    let weight = |at: usize| (-0.5 * (at as f64 / sigma).powi(2)).exp();
    let half: Vec<f64> = (0..=length / 2).map(weight).collect();
    let sum = half[0] + 2.0 * half[1..].iter().sum::<f64>();
    half.into_iter().map(|weight| (weight / sum) as f32).collect()
}

/// Rows of the result, from `top`: plain loops, compiled for the available vector units. No
/// multiply-add is fused, so the values are the same on all machines.
struct Band<'a> {
    plane: &'a Plane,
    kernel: &'a [f32],
    top: usize,
    out: &'a mut [f32],
}

impl WithSimd for Band<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        blur_band(self.plane, self.kernel, self.top, self.out);
    }
}

/// Computes the rows of the result from `top`: filters along the rows into a ring buffer, then
/// along the columns.
#[inline(always)]
fn blur_band(plane: &Plane, kernel: &[f32], top: usize, band: &mut [f32]) {
    let (width, reach) = (plane.width, kernel.len() - 1);
    let n_ring = 2 * reach + 1;
    let mut padded = vec![0.0; width + 2 * reach];
    let mut ring = vec![0.0; n_ring * width];
    let mut n_filtered = 0;
    for (row, out) in (top..).zip(band.chunks_exact_mut(width)) {
        // The first row needs all of its neighbors, every other row one more.
        while n_filtered < row - top + n_ring {
            let next = (top + n_filtered) as isize - reach as isize;
            pad(plane.row(mirrored(next, plane.height)), reach, &mut padded);
            let slot = &mut ring[n_filtered % n_ring * width..][..width];
            symmetric_sum(slot, kernel, |offset| &padded[offset..][..width]);
            n_filtered += 1;
        }
        symmetric_sum(out, kernel, |offset| {
            &ring[(row - top + offset) % n_ring * width..][..width]
        });
    }
}

/// `out = k₀ · line(r) + Σ kᵢ · (line(r - i) + line(r + i))`, where `r` is the radius of the
/// kernel.
#[inline(always)]
fn symmetric_sum<'a>(out: &mut [f32], kernel: &[f32], line: impl Fn(usize) -> &'a [f32]) {
    let reach = kernel.len() - 1;
    let middle = line(reach);
    let pairs: Vec<(&[f32], &[f32], f32)> =
        (1..=reach).map(|i| (line(reach - i), line(reach + i), kernel[i])).collect();
    let (blocks, rest) = out.as_chunks_mut::<LANES>();
    let n_blocks = blocks.len();
    for (block, out) in blocks.iter_mut().enumerate() {
        let at = block * LANES;
        let mut sum = *lanes(middle, at);
        for sum in &mut sum {
            *sum *= kernel[0];
        }
        for &(left, right, weight) in &pairs {
            let (left, right) = (lanes(left, at), lanes(right, at));
            for lane in 0..LANES {
                sum[lane] += weight * (left[lane] + right[lane]);
            }
        }
        *out = sum;
    }
    for (at, out) in (n_blocks * LANES..).zip(rest) {
        let mut sum = middle[at] * kernel[0];
        for &(left, right, weight) in &pairs {
            sum += weight * (left[at] + right[at]);
        }
        *out = sum;
    }
}

#[inline(always)]
fn lanes(line: &[f32], at: usize) -> &[f32; LANES] {
    line[at..].first_chunk().expect("every line is as long as the output")
}

/// A row with its mirrored continuation on both sides.
fn pad(row: &[f32], reach: usize, padded: &mut [f32]) {
    let width = row.len();
    padded[reach..reach + width].copy_from_slice(row);
    for offset in 1..=reach {
        padded[reach - offset] = row[mirrored(-(offset as isize), width)];
        padded[reach + width - 1 + offset] = row[mirrored((width - 1 + offset) as isize, width)];
    }
}

/// The index in `0..n` to which an index outside is mirrored, without repeating the border.
fn mirrored(index: isize, n: usize) -> usize {
    if n == 1 {
        return 0;
    }
    let period = 2 * (n as isize - 1);
    let index = index.rem_euclid(period);
    index.min(period - index) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_has_opencvs_length_and_sums_to_one() {
        // 1.249 · 8 + 1 = 10.99, rounded to 11.
        let half = half_kernel(1.249);
        assert_eq!(half.len(), 6);
        assert!((half[0] + 2.0 * half[1..].iter().sum::<f32>() - 1.0).abs() < 1e-6);
    }

    #[test]
    fn border_is_mirrored_without_doubling_the_last_pixel() {
        assert_eq!(
            (-4..7).map(|index| mirrored(index, 3)).collect::<Vec<_>>(),
            [0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2]
        );
        assert_eq!(mirrored(-7, 1), 0);
    }

    #[test]
    fn blur_of_a_dot_is_the_kernel_in_both_directions() {
        let mut dot = Plane::zeros(41, 67);
        dot.values[20 * 67 + 30] = 1.0;
        let (found, kernel) = (blurred(&dot, 1.3), half_kernel(1.3));
        for row in 0..41_usize {
            for column in 0..67_usize {
                let weight = |offset: usize| kernel.get(offset).copied().unwrap_or(0.0);
                let expected = weight(row.abs_diff(20)) * weight(column.abs_diff(30));
                assert!((found.row(row)[column] - expected).abs() < 1e-7, "({row}, {column})");
            }
        }
    }

    #[test]
    fn plain_surface_stays_plain() {
        let mut plain = Plane::zeros(5, 37);
        plain.values.fill(100.0);
        assert!(blurred(&plain, 3.09).values.iter().all(|v| (v - 100.0).abs() < 1e-3));
    }
}
