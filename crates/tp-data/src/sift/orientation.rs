//! The dominant gradient directions around a keypoint.

use super::scale_space::Plane;

/// Bins of the orientation histogram, 10° each.
const N_BINS: usize = 36;
/// A direction with at least this share of the strongest one is also used.
const PEAK_SHARE: f32 = 0.8;
/// The standard deviation of the window, in units of the keypoint's scale; its radius is three
/// times that.
const WINDOW: f32 = 1.5;

/// Finds directions; the buffers are reused between keypoints.
#[derive(Default)]
pub(super) struct Orientations {
    window: Vec<f32>,
    dx: Vec<f32>,
    dy: Vec<f32>,
    degrees: Vec<f32>,
    angles: Vec<f32>,
}

impl Orientations {
    /// The angles of a keypoint of a given scale, in pixels of this plane, in OpenCV's convention.
    pub(super) fn at(&mut self, plane: &Plane, row: usize, column: usize, scale: f32) -> &[f32] {
        let histogram = smoothed(self.histogram(plane, row, column, scale));
        let threshold = histogram.iter().copied().fold(0.0, f32::max) * PEAK_SHARE;
        self.angles.clear();
        for bin in 0..N_BINS {
            let (before, here, after) = (
                histogram[(bin + N_BINS - 1) % N_BINS],
                histogram[bin],
                histogram[(bin + 1) % N_BINS],
            );
            if here > before && here > after && here >= threshold {
                let peak = bin as f32 + 0.5 * (before - after) / (before - 2.0 * here + after);
                let peak = if peak < 0.0 { peak + N_BINS as f32 } else { peak };
                let angle = 360.0
                    - 360.0 / N_BINS as f32
                        * if peak >= N_BINS as f32 { peak - N_BINS as f32 } else { peak };
                self.angles.push(if (angle - 360.0).abs() < f32::EPSILON { 0.0 } else { angle });
            }
        }
        &self.angles
    }

    /// The gradient magnitude by direction, under a Gaussian window.
    fn histogram(&mut self, plane: &Plane, row: usize, column: usize, scale: f32) -> [f32; N_BINS] {
        let radius = (3.0 * WINDOW * scale).round_ties_even() as usize;
        let falloff = -1.0 / (2.0 * (WINDOW * scale) * (WINDOW * scale));
        self.window.clear();
        self.window.extend((0..=radius).map(|offset| ((offset * offset) as f32 * falloff).exp()));
        let mut histogram = [0.0; N_BINS];
        // A pixel at the border lacks a neighbor for the gradient.
        let columns =
            column.saturating_sub(radius).max(1)..(column + radius + 1).min(plane.width - 1);
        for y in row.saturating_sub(radius).max(1)..(row + radius + 1).min(plane.height - 1) {
            self.measure_row(plane, y, columns.clone());
            let row_weight = self.window[y.abs_diff(row)];
            for (x, ((dx, dy), degrees)) in
                columns.clone().zip(self.dx.iter().zip(&self.dy).zip(&self.degrees))
            {
                let magnitude = (dx * dx + dy * dy).sqrt();
                let bin = (degrees * (N_BINS as f32 / 360.0) + 0.5) as usize;
                histogram[if bin >= N_BINS { bin - N_BINS } else { bin }] +=
                    row_weight * self.window[x.abs_diff(column)] * magnitude;
            }
        }
        histogram
    }

    fn measure_row(&mut self, plane: &Plane, y: usize, columns: std::ops::Range<usize>) {
        let n = columns.len();
        let around = |row: usize, shift: usize| &plane.row(row)[columns.start + shift - 1..][..n];
        let (left, right, above, below) =
            (around(y, 0), around(y, 2), around(y - 1, 1), around(y + 1, 1));
        for buffer in [&mut self.dx, &mut self.dy, &mut self.degrees] {
            buffer.resize(n, 0.0);
        }
        for at in 0..n {
            (self.dx[at], self.dy[at]) = (right[at] - left[at], above[at] - below[at]);
        }
        for ((degrees, &dx), &dy) in self.degrees.iter_mut().zip(&self.dx).zip(&self.dy) {
            *degrees = direction(dx, dy);
        }
    }
}

/// `atan2(dy, dx)` in degrees from 0 to 360, by OpenCV's polynomial, with an error of at most 0.3°.
fn direction(dx: f32, dy: f32) -> f32 {
    const DEGREES: f32 = 180.0 / std::f32::consts::PI;
    let (ax, ay) = (dx.abs(), dy.abs());
    let (small, large) = if ax >= ay { (ay, ax) } else { (ax, ay) };
    let ratio = small / (large + f64::EPSILON as f32);
    let square = ratio * ratio;
    let odd =
        ((-0.044_326_555 * square + 0.155_578_65) * square - 0.325_808_4) * square + 0.999_787_87;
    let acute = odd * ratio * DEGREES;
    let angle = if ax >= ay { acute } else { 90.0 - acute };
    let angle = if dx < 0.0 { 180.0 - angle } else { angle };
    if dy < 0.0 { 360.0 - angle } else { angle }
}

/// The histogram smoothed by a binomial of five bins, circularly.
fn smoothed(histogram: [f32; N_BINS]) -> [f32; N_BINS] {
    std::array::from_fn(|bin| {
        let at = |offset: usize| histogram[(bin + offset + N_BINS - 2) % N_BINS];
        (at(0) + at(4)) * (1.0 / 16.0) + (at(1) + at(3)) * (4.0 / 16.0) + at(2) * (6.0 / 16.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn direction_is_that_of_atan2() {
        for degrees in (0..360).step_by(3) {
            let (sin, cos) = (degrees as f32).to_radians().sin_cos();
            let off = (direction(cos, sin) - degrees as f32).abs();
            assert!(off.min(360.0 - off) < 0.3, "{degrees}: {off}");
        }
        assert_eq!(direction(0.0, 0.0), 0.0);
    }

    #[test]
    fn ramp_has_one_direction() {
        // Brightness rises to the right: 0°.
        let mut ramp = Plane::zeros(41, 41);
        for (at, value) in ramp.values.iter_mut().enumerate() {
            *value = (at % 41) as f32;
        }
        let angles = Orientations::default().at(&ramp, 20, 20, 2.0).to_vec();
        assert_eq!(angles, [0.0]);
    }
}
