//! Rasterizes polygons exactly like pycocotools (`rleFrPoly` in COCO's `maskApi.c`).
//!
//! A pixel covers `[x, x + 1) × [y, y + 1)`; a box polygon from (1, 1) to (3, 3) fills exactly
//! pixels 1 and 2. The outline is drawn on a grid five times finer. Wherever it crosses the center
//! line of a pixel column, the column's fill toggles, which implements the even-odd rule
//! independently of the direction of the outline.

use ndarray::Array2;
use tp_core::ImageHw;

use crate::Mask;

/// The factor by which the grid for outlines is finer.
const SCALE: f64 = 5.0;

/// The union of polygons, each `[x0, y0, x1, y1, …]` in pixel edges (the frame of
/// [`BoxXywh`](crate::BoxXywh)).
///
/// The time grows with the length of the outline, so coordinates are clamped to a million pixels;
/// NaN counts as 0, and a trailing odd number is ignored. Readers should reject all three.
#[must_use]
pub fn mask_of_polygons(polygons: &[Vec<f64>], size: ImageHw) -> Mask {
    let height = size.height() as usize;
    let mut inside = Array2::from_elem((height, size.width() as usize), false);
    for polygon in polygons {
        for_each_run(polygon, size, |start, end| {
            // A run continues from the bottom of a column at the top of the next one.
            let mut at = start;
            while at < end {
                let (column, top) = (at / height, at % height);
                let bottom = height.min(top + end - at);
                for row in top..bottom {
                    inside[[row, column]] = true;
                }
                at += bottom - top;
            }
        });
    }
    Mask::new(inside)
}

/// The number of pixels that a polygon fills, without drawing it.
pub(crate) fn polygon_area(polygon: &[f64], size: ImageHw) -> usize {
    let mut area = 0;
    for_each_run(polygon, size, |start, end| area += end - start);
    area
}

/// The length of a polygon's outline in pixels, along the longer axis of every edge: a measure of
/// the time and memory for drawing it.
pub(crate) fn outline_length(polygon: &[f64]) -> f64 {
    let corners = polygon.chunks_exact(2);
    let edges = corners.clone().zip(corners.cycle().skip(1));
    edges.map(|(start, end)| (end[0] - start[0]).abs().max((end[1] - start[1]).abs())).sum()
}

/// Calls back with every filled run `start..end` in column-major order.
fn for_each_run(polygon: &[f64], size: ImageHw, mut run: impl FnMut(usize, usize)) {
    let mut toggles = column_crossings(polygon, size);
    toggles.sort_unstable();
    if toggles.len() % 2 == 1 {
        toggles.push(size.n_pixels());
    }
    for pair in toggles.chunks_exact(2) {
        if pair[0] < pair[1] {
            run(pair[0], pair[1]);
        }
    }
}

/// The crossings of the outline with the center lines of pixel columns, as column-major positions
/// `x · height + y`.
fn column_crossings(polygon: &[f64], size: ImageHw) -> Vec<usize> {
    let fine = |v: f64| (SCALE * v.clamp(-1e6, 1e6) + 0.5) as i64; // toward zero, as the cast in C
    let corners: Vec<[i64; 2]> =
        polygon.chunks_exact(2).map(|xy| [fine(xy[0]), fine(xy[1])]).collect();
    let (height, last_column) = (f64::from(size.height()), f64::from(size.width() - 1));
    let mut crossings = Vec::new();
    let mut before: Option<[i64; 2]> = None;
    let mut visit = |point: [i64; 2]| {
        if let Some(before) = before.filter(|before| before[0] != point[0]) {
            let column = if point[0] < before[0] { point[0] } else { point[0] - 1 };
            let column = (column as f64 + 0.5) / SCALE - 0.5;
            if column.fract() == 0.0 && (0.0..=last_column).contains(&column) {
                let row = (point[1].min(before[1]) as f64 + 0.5) / SCALE - 0.5;
                let row = row.clamp(0.0, height).ceil();
                crossings.push(column as usize * size.height() as usize + row as usize);
            }
        }
        before = Some(point);
    };
    for (index, &start) in corners.iter().enumerate() {
        for_each_edge_point(start, corners[(index + 1) % corners.len()], &mut visit);
    }
    crossings
}

/// The grid points of an edge from start to end, both included.
fn for_each_edge_point(start: [i64; 2], end: [i64; 2], visit: &mut impl FnMut([i64; 2])) {
    let (dx, dy) = ((end[0] - start[0]).abs(), (end[1] - start[1]).abs());
    let (major, minor) = if dx >= dy { (0, 1) } else { (1, 0) };
    let n_steps = dx.max(dy);
    // The slope is always computed from the lower end, so that an edge rounds the same in both
    // directions.
    let flipped = start[major] > end[major];
    let (low, high) = if flipped { (end, start) } else { (start, end) };
    let slope = if n_steps == 0 { 0.0 } else { (high[minor] - low[minor]) as f64 / n_steps as f64 };
    for step in 0..=n_steps {
        let t = if flipped { n_steps - step } else { step };
        let mut point = [0; 2];
        point[major] = low[major] + t;
        point[minor] = (low[minor] as f64 + slope * t as f64 + 0.5) as i64;
        visit(point);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows(mask: &Mask) -> Vec<String> {
        mask.pixels()
            .rows()
            .into_iter()
            .map(|row| row.iter().map(|&inside| if inside { '#' } else { '.' }).collect())
            .collect()
    }

    #[test]
    fn triangle_is_filled_as_pycocotools_fills_it() {
        // Run lengths 0 3 2 2 3 1 14 down the columns.
        let mask =
            mask_of_polygons(&[vec![0.0, 0.0, 4.0, 0.0, 0.0, 4.0]], ImageHw::new(5, 5).unwrap());
        assert_eq!(rows(&mask), ["###..", "##...", "#....", ".....", "....."]);
    }

    #[test]
    fn outline_is_as_long_as_its_edges_along_their_longer_axes() {
        // Three to the right, four down, and back along the diagonal.
        assert_eq!(outline_length(&[0.0, 0.0, 3.0, 0.0, 3.0, 4.0]), 3.0 + 4.0 + 4.0);
        assert_eq!([&[][..], &[5.0], &[5.0, 7.0]].map(outline_length), [0.0; 3]);
    }

    #[test]
    fn separate_polygons_are_united() {
        let (left, right) = (
            vec![0.0, 0.0, 2.0, 0.0, 2.0, 1.0, 0.0, 1.0],
            vec![1.0, 0.0, 3.0, 0.0, 3.0, 1.0, 1.0, 1.0],
        );
        assert_eq!(rows(&mask_of_polygons(&[left, right], ImageHw::new(1, 4).unwrap())), ["###."]);
    }

    #[test]
    fn nothing_comes_of_nothing() {
        let size = ImageHw::new(3, 3).unwrap();
        for polygon in
            [vec![], vec![1.0], vec![1.0, 1.0], vec![f64::NAN; 6], vec![f64::INFINITY; 6]]
        {
            assert_eq!(mask_of_polygons(&[polygon], size).area(), 0);
        }
    }

    proptest! {
        #[test]
        fn polygon_of_a_whole_numbered_box_is_that_box(h in 1u32..40, w in 1u32..40, x in 0u32..40, y in 0u32..40, bw in 1u32..40, bh in 1u32..40) {
            let size = ImageHw::new(h, w).unwrap();
            let (x, y) = (x % w, y % h);
            let (right, bottom) = ((x + bw).min(w), (y + bh).min(h));
            let [x0, y0, x1, y1] = [x, y, right, bottom].map(f64::from);
            let polygon = vec![x0, y0, x1, y0, x1, y1, x0, y1];
            let mask = mask_of_polygons(std::slice::from_ref(&polygon), size);
            prop_assert_eq!(mask.area(), ((right - x) * (bottom - y)) as usize);
            prop_assert_eq!(polygon_area(&polygon, size), mask.area());
            let found = mask.bounding_box().unwrap();
            prop_assert_eq!([found.x, found.y, found.width, found.height], [x0, y0, x1 - x0, y1 - y0]);
        }

        #[test]
        fn direction_of_the_ring_does_not_matter(points in prop::collection::vec((-10.0f64..40.0, -10.0f64..40.0), 3..9)) {
            let size = ImageHw::new(30, 30).unwrap();
            let flat = |points: &[(f64, f64)]| points.iter().flat_map(|&(x, y)| [x, y]).collect::<Vec<_>>();
            let there = mask_of_polygons(&[flat(&points)], size);
            let back = mask_of_polygons(&[flat(&points.iter().rev().copied().collect::<Vec<_>>())], size);
            prop_assert_eq!(there, back);
        }
    }
}
