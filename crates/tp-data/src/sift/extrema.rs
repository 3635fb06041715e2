//! Extrema of the difference of Gaussians in position and scale, with sub-pixel refinement.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::{SiftKeypoint, SiftOptions, orientation::Orientations, scale_space::Octave};

/// The minimum distance of keypoints from the border, in pixels.
const BORDER: usize = 5;
/// The maximum number of refinement steps.
const MAX_STEPS: usize = 5;
/// Brightness is in bytes.
const SCALE: f32 = 1.0 / 255.0;
/// The number of rows per task.
const ROWS_PER_TASK: usize = 32;

/// The keypoints of an octave, in pixels of the doubled image.
pub(super) fn keypoints_of_octave(
    octave: &Octave,
    index: usize,
    options: &SiftOptions,
) -> Vec<SiftKeypoint> {
    let (height, width) = (octave.layers[0].height, octave.layers[0].width);
    if height <= 2 * BORDER || width <= 2 * BORDER {
        return Vec::new();
    }
    let tops: Vec<usize> = (BORDER..height - BORDER).step_by(ROWS_PER_TASK).collect();
    let search = |&top: &usize| {
        let mut found = Vec::new();
        let mut orientations = Orientations::default();
        for_each_extremum(
            octave,
            top..(top + ROWS_PER_TASK).min(height - BORDER),
            options,
            |[layer, row, column]| {
                if let Some(refined) = refined(octave, [layer, row, column], options) {
                    let keypoint = refined.keypoint(index, options);
                    let plane = &octave.layers[refined.layer];
                    for &angle in orientations.at(
                        plane,
                        refined.row,
                        refined.column,
                        keypoint.size * 0.5 / (1_u32 << index) as f32,
                    ) {
                        found.push(SiftKeypoint { angle, ..keypoint });
                    }
                }
            },
        );
        found
    };
    tops.par_iter().map(search).collect::<Vec<_>>().concat()
}

/// Calls back with layer, row and column of every pixel that is not exceeded by a neighbor in
/// position or scale.
fn for_each_extremum(
    octave: &Octave,
    rows: std::ops::Range<usize>,
    options: &SiftOptions,
    mut visit: impl FnMut([usize; 3]),
) {
    let width = octave.layers[0].width;
    // Half the final contrast threshold, in whole levels of brightness.
    let threshold = (0.5 * options.contrast / options.octave_layers as f32 / SCALE).floor();
    let n_differences = octave.layers.len() - 1;
    // A ring buffer of three rows of every difference.
    let mut differences = vec![vec![0.0_f32; 3 * width]; n_differences];
    let fill = |differences: &mut [Vec<f32>], row: usize| {
        for (layer, lines) in differences.iter_mut().enumerate() {
            let line = &mut lines[row % 3 * width..][..width];
            for ((out, &next), &this) in line
                .iter_mut()
                .zip(octave.layers[layer + 1].row(row))
                .zip(octave.layers[layer].row(row))
            {
                *out = next - this;
            }
        }
    };
    fill(&mut differences, rows.start - 1);
    fill(&mut differences, rows.start);
    let mut marks = vec![0_u32; width];
    for row in rows {
        fill(&mut differences, row + 1);
        let line = |layer: usize, row: usize| &differences[layer][row % 3 * width..][..width];
        for layer in 1..n_differences - 1 {
            let center = line(layer, row);
            let beside = [
                line(layer, row - 1),
                line(layer, row + 1),
                line(layer - 1, row),
                line(layer + 1, row),
            ];
            pulp::Arch::new().dispatch(Peaks { center, beside, threshold, marks: &mut marks });
            for (block, marks) in marks.chunks(16).enumerate() {
                if marks.iter().fold(0, |any, mark| any | mark) == 0 {
                    continue;
                }
                for (column, _) in (block * 16..).zip(marks).filter(|&(_, &mark)| mark != 0) {
                    let neighbours = [layer - 1, layer, layer + 1]
                        .map(|layer| [row - 1, row, row + 1].map(|row| line(layer, row)));
                    if is_extremum(center[column], &neighbours, column) {
                        visit([layer, row, column]);
                    }
                }
            }
        }
    }
}

/// The first comparison, compiled for the available vector units.
struct Peaks<'a> {
    center: &'a [f32],
    beside: [&'a [f32]; 4],
    threshold: f32,
    marks: &'a mut [u32],
}

impl WithSimd for Peaks<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        mark_peaks(self.center, self.beside, self.threshold, self.marks);
    }
}

/// Marks the pixels that are not exceeded by the six nearest neighbors; few remain for the full
/// comparison.
#[inline(always)]
fn mark_peaks(center: &[f32], beside: [&[f32]; 4], threshold: f32, marks: &mut [u32]) {
    let n = center.len() - 2 * BORDER;
    marks.fill(0);
    let (here, left, right) =
        (&center[BORDER..][..n], &center[BORDER - 1..][..n], &center[BORDER + 1..][..n]);
    let [above, below, finer, coarser] = beside.map(|line| &line[BORDER..][..n]);
    let marks = &mut marks[BORDER..][..n];
    for at in 0..n {
        let v = here[at];
        let higher = max(
            max(max(left[at], right[at]), max(above[at], below[at])),
            max(finer[at], coarser[at]),
        );
        let lower = min(
            min(min(left[at], right[at]), min(above[at], below[at])),
            min(finer[at], coarser[at]),
        );
        marks[at] =
            u32::from((v > threshold) & (v >= higher)) | u32::from((v < -threshold) & (v <= lower));
    }
}

// `f32::max` and `min` handle NaN, which costs instructions; there is none here.
#[inline(always)]
fn max(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

#[inline(always)]
fn min(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}

fn is_extremum(value: f32, neighbours: &[[&[f32]; 3]; 3], column: usize) -> bool {
    let mut around = neighbours.iter().flatten().flat_map(|line| &line[column - 1..=column + 1]);
    if value > 0.0 { around.all(|&v| v <= value) } else { around.all(|&v| v >= value) }
}

/// A refined extremum: the nearest pixel and layer, and the offset of the peak from it.
struct Refined {
    layer: usize,
    row: usize,
    column: usize,
    /// Towards larger columns, rows and layers, each within ½.
    offset: [f32; 3],
    contrast: f32,
}

impl Refined {
    fn keypoint(&self, octave: usize, options: &SiftOptions) -> SiftKeypoint {
        let pixel = (1_u32 << octave) as f32;
        let scale = ((self.layer as f32 + self.offset[2]) / options.octave_layers as f32).exp2();
        SiftKeypoint {
            x: (self.column as f32 + self.offset[0]) * pixel,
            y: (self.row as f32 + self.offset[1]) * pixel,
            size: options.sigma * scale * pixel * 2.0,
            angle: 0.0,
            response: self.contrast,
            octave: octave as i32,
            layer: self.layer as u32,
        }
    }
}

/// The peak of a parabola through the neighbors; moves to the next pixel while the peak is nearer
/// to that one. `None` if it leaves the octave, has too little contrast, or lies on an edge.
fn refined(
    octave: &Octave,
    [mut layer, mut row, mut column]: [usize; 3],
    options: &SiftOptions,
) -> Option<Refined> {
    let (height, width) = (octave.layers[0].height, octave.layers[0].width);
    for _ in 0..MAX_STEPS {
        let Derivatives { gradient, hessian } = Derivatives::at(octave, layer, row, column);
        let offset = solved(hessian, gradient).map(|v| -v);
        if offset.iter().all(|v| v.abs() < 0.5) {
            let [x, y, s] = offset;
            let slope = gradient[0] * x + gradient[1] * y + gradient[2] * s;
            let contrast = (octave.difference(layer, row, column) * SCALE + slope * 0.5).abs();
            let [[dxx, dxy, _], [_, dyy, _], _] = hessian;
            let (trace, determinant) = (dxx + dyy, dxx * dyy - dxy * dxy);
            let edge = options.edge;
            let on_edge = determinant <= 0.0
                || trace * trace * edge >= (edge + 1.0) * (edge + 1.0) * determinant;
            let weak = contrast * (options.octave_layers as f32) < options.contrast;
            return (!weak && !on_edge).then_some(Refined { layer, row, column, offset, contrast });
        }
        let moved = |at: usize, by: f32, low: usize, high: usize| {
            // Non-finite and very large values leave the range as well.
            let to = at as f32 + by.round_ties_even();
            (low as f32..=high as f32).contains(&to).then_some(to as usize)
        };
        column = moved(column, offset[0], BORDER, width - BORDER - 1)?;
        row = moved(row, offset[1], BORDER, height - BORDER - 1)?;
        layer = moved(layer, offset[2], 1, options.octave_layers)?;
    }
    None
}

/// First and second derivatives by column, row and layer.
struct Derivatives {
    gradient: [f32; 3],
    hessian: [[f32; 3]; 3],
}

impl Derivatives {
    fn at(octave: &Octave, layer: usize, row: usize, column: usize) -> Self {
        // The offsets 0, 1, 2 mean previous, current, next.
        let d = |l: usize, r: usize, c: usize| {
            octave.difference(layer + l - 1, row + r - 1, column + c - 1)
        };
        let twice = d(1, 1, 1) * 2.0;
        let first = |after: f32, before: f32| (after - before) * (SCALE * 0.5);
        let second = |after: f32, before: f32| (after + before - twice) * SCALE;
        let mixed = |a: f32, b: f32, c: f32, d: f32| (a - b - c + d) * (SCALE * 0.25);
        let dxx = second(d(1, 1, 2), d(1, 1, 0));
        let dyy = second(d(1, 2, 1), d(1, 0, 1));
        let dss = second(d(2, 1, 1), d(0, 1, 1));
        let dxy = mixed(d(1, 2, 2), d(1, 2, 0), d(1, 0, 2), d(1, 0, 0));
        let dxs = mixed(d(2, 1, 2), d(2, 1, 0), d(0, 1, 2), d(0, 1, 0));
        let dys = mixed(d(2, 2, 1), d(2, 0, 1), d(0, 2, 1), d(0, 0, 1));
        Self {
            gradient: [
                first(d(1, 1, 2), d(1, 1, 0)),
                first(d(1, 2, 1), d(1, 0, 1)),
                first(d(2, 1, 1), d(0, 1, 1)),
            ],
            hessian: [[dxx, dxy, dxs], [dxy, dyy, dys], [dxs, dys, dss]],
        }
    }
}

/// Solves three linear equations by Cramer's rule; zeros for a singular matrix, as in OpenCV.
fn solved(matrix: [[f32; 3]; 3], right: [f32; 3]) -> [f32; 3] {
    let m = matrix.map(|row| row.map(f64::from));
    let b = right.map(f64::from);
    let determinant = |m: [[f64; 3]; 3]| {
        m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1])
            - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
            + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])
    };
    let whole = determinant(m);
    if whole == 0.0 {
        return [0.0; 3];
    }
    std::array::from_fn(|column| {
        let mut replaced = m;
        for (row, &b) in replaced.iter_mut().zip(&b) {
            row[column] = b;
        }
        (determinant(replaced) / whole) as f32
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_equations_are_solved() {
        // 2x + y = 4, x + 3y + z = 10, y + 4z = 14 has the solution 1, 2, 3.
        assert_eq!(
            solved([[2.0, 1.0, 0.0], [1.0, 3.0, 1.0], [0.0, 1.0, 4.0]], [4.0, 10.0, 14.0]),
            [1.0, 2.0, 3.0]
        );
        assert_eq!(solved([[1.0; 3]; 3], [1.0, 2.0, 3.0]), [0.0; 3]);
    }

    #[test]
    fn extremum_may_equal_its_neighbours() {
        let flat = [1.0; 3];
        let lines = [[&flat[..]; 3]; 3];
        assert!(
            is_extremum(1.0, &lines, 1)
                && !is_extremum(0.5, &lines, 1)
                && is_extremum(-1.0, &lines, 1)
        );
    }
}
