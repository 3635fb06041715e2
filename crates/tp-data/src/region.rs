//! The pixels of a part or an object, with their distance from the outline.

use std::ops::Range;

use crate::{BoxXywh, Mask};

/// A region for points.
#[derive(Clone, Copy, Debug)]
pub enum Region<'a> {
    /// The pixels of a mask.
    Mask(&'a Mask),
    /// The pixels of a mask whose bounding box is known, which makes it faster.
    MaskInBox(&'a Mask, BoxXywh),
    /// The pixels whose centers lie in a box.
    Box(BoxXywh),
}

impl<'a> Region<'a> {
    /// The mask if there is one, else the box.
    #[must_use]
    pub fn of(mask: Option<&'a Mask>, bbox: BoxXywh) -> Self {
        mask.map_or(Self::Box(bbox), |mask| Self::MaskInBox(mask, bbox))
    }

    /// The bounding box; `None` for an empty mask.
    pub(crate) fn bounding_box(&self) -> Option<BoxXywh> {
        match self {
            Self::Mask(mask) => mask.bounding_box(),
            Self::MaskInBox(_, bbox) | Self::Box(bbox) => Some(*bbox),
        }
    }
}

/// The pixels of a region, each with its chessboard distance to the outside; 1 at the outline and
/// at the image border.
pub(crate) struct RegionDepth {
    top: usize,
    left: usize,
    width: usize,
    depths: Vec<u16>,
    n_inside: usize,
}

impl RegionDepth {
    /// Measures a region of an image of `(height, width)`; `None` if it contains no pixel of the
    /// image.
    pub(crate) fn new(region: Region<'_>, shape: (usize, usize)) -> Option<Self> {
        let (rows, columns) = match region {
            Region::Mask(mask) => touched(&mask.bounding_box()?, shape),
            Region::MaskInBox(_, bbox) => touched(&bbox, shape),
            Region::Box(BoxXywh { x, y, width, height }) => {
                (centres(y, height, shape.0), centres(x, width, shape.1))
            }
        };
        let (top, left, width) = (rows.start, columns.start, columns.len());
        let mut depths = vec![u16::MAX; rows.len() * width];
        if let Region::Mask(mask) | Region::MaskInBox(mask, _) = region {
            for (row, depths) in rows.zip(depths.chunks_exact_mut(width.max(1))) {
                for (depth, column) in depths.iter_mut().zip(columns.clone()) {
                    *depth = if mask.contains(row, column) { u16::MAX } else { 0 };
                }
            }
        }
        let n_inside = depths.iter().filter(|&&depth| depth > 0).count();
        if n_inside == 0 {
            return None;
        }
        spread(&mut depths, width);
        Some(Self { top, left, width, depths, n_inside })
    }

    /// The number of pixels inside.
    pub(crate) fn n_inside(&self) -> usize {
        self.n_inside
    }

    /// Whether a pixel of the image is inside.
    pub(crate) fn contains(&self, row: usize, column: usize) -> bool {
        let place = row
            .checked_sub(self.top)
            .zip(column.checked_sub(self.left))
            .filter(|&(_, column)| column < self.width);
        place
            .and_then(|(row, column)| self.depths.get(row * self.width + column))
            .is_some_and(|&depth| depth > 0)
    }

    /// Calls back with row, column and depth of every pixel inside, row-major.
    pub(crate) fn for_each_inside(&self, mut visit: impl FnMut(usize, usize, u16)) {
        for (row, depths) in self.depths.chunks_exact(self.width).enumerate() {
            for (column, &depth) in depths.iter().enumerate() {
                if depth > 0 {
                    visit(self.top + row, self.left + column, depth);
                }
            }
        }
    }
}

/// The rows and columns that a box touches.
fn touched(bbox: &BoxXywh, (height, width): (usize, usize)) -> (Range<usize>, Range<usize>) {
    let range = |start: f64, length: f64, end: usize| {
        (start.floor() as usize)..((start + length).ceil() as usize).min(end)
    };
    (range(bbox.y, bbox.height, height), range(bbox.x, bbox.width, width))
}

/// The pixels whose centers lie in an interval.
fn centres(start: f64, length: f64, end: usize) -> Range<usize> {
    // A NaN becomes 0, and the range is empty.
    ((start - 0.5).ceil() as usize)..(((start + length - 0.5).floor() + 1.0) as usize).min(end)
}

/// The two passes of a chessboard distance transform; pixels beyond the edges count as outside.
/// `u16::MAX` marks the inside.
fn spread(depths: &mut [u16], width: usize) {
    let outside = vec![0; width];
    for backwards in [false, true] {
        let mut rest = &mut *depths;
        let mut before: &[u16] = &outside;
        while !rest.is_empty() {
            let (row, others) = if backwards {
                let (others, row) = rest.split_at_mut(rest.len() - width);
                (row, others)
            } else {
                rest.split_at_mut(width)
            };
            spread_row(row, before, backwards);
            (before, rest) = (row, others);
        }
    }
}

/// Processes a row from its neighbors in the previous row and the previous pixel.
fn spread_row(row: &mut [u16], before: &[u16], backwards: bool) {
    let last = row.len() - 1;
    let mut previous = 0;
    for step in 0..=last {
        let at = if backwards { last - step } else { step };
        if row[at] > 0 {
            let beside = if at == 0 || at == last {
                0
            } else {
                before[at - 1].min(before[at]).min(before[at + 1])
            };
            row[at] = row[at].min(previous.min(beside) + 1);
        }
        previous = row[at];
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    fn depths(region: Region<'_>, shape: (usize, usize)) -> Vec<(usize, usize, u16)> {
        let mut found = Vec::new();
        RegionDepth::new(region, shape)
            .unwrap()
            .for_each_inside(|row, column, depth| found.push((row, column, depth)));
        found
    }

    #[test]
    fn depth_grows_from_the_outline_inwards() {
        let found =
            depths(Region::Box(BoxXywh { x: 2.0, y: 1.0, width: 5.0, height: 5.0 }), (20, 20));
        assert_eq!(found.len(), 25);
        for (row, column, depth) in found {
            let expected = (row - 1).min(5 - row).min(column - 2).min(6 - column) + 1;
            assert_eq!(usize::from(depth), expected, "({row}, {column})");
        }
    }

    #[test]
    fn pixels_outside_are_not_contained() {
        let region = RegionDepth::new(
            Region::Box(BoxXywh { x: 2.0, y: 1.0, width: 3.0, height: 2.0 }),
            (20, 20),
        )
        .unwrap();
        for (row, column) in [(0, 2), (1, 1), (1, 5), (3, 2), (40, 3)] {
            assert!(!region.contains(row, column), "({row}, {column})");
        }
        assert!(region.contains(1, 2) && region.contains(2, 4));
    }

    #[test]
    fn depth_in_a_mask_is_the_distance_to_its_nearest_hole() {
        let mut pixels = Array2::from_elem((9, 12), true);
        pixels[[4, 5]] = false;
        let mask = Mask::new(pixels);
        for (row, column, depth) in depths(Region::Mask(&mask), (9, 12)) {
            let to_border = (row + 1).min(9 - row).min(column + 1).min(12 - column);
            let to_hole = row.abs_diff(4).max(column.abs_diff(5));
            assert_eq!(usize::from(depth), to_border.min(to_hole), "({row}, {column})");
        }
    }
}
