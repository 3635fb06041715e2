//! A second look: the map of the whole image, joined with that of the section around its answer.
//!
//! In the square of the whole image a part may be less than a cell; in its section it is as large
//! as the parts that were learned (`docs/experiments/sight.md`, "a second look").

use tp_core::{Letterbox, ModelXy};
use tp_vision::Section;

use crate::Heatmap;

/// What the section's map counts in the mean. A text may speak of what stands beside the section
/// ("the third from the left"), so the whole image counts more.
const SECTION_WEIGHT: f32 = 0.4;

impl Heatmap {
    /// The weighted mean of this map and that of a section of the same image, in cells that are
    /// `finer` times as many along each side.
    ///
    /// What the section's map says of "nowhere" takes mass from that map alone: a section that may
    /// not show the thing counts less. The joined map's probability of "nowhere" is this map's.
    ///
    /// - `letterbox`: how the whole image lies in this map
    /// - `section`, `section_letterbox`: where the section lies in the image, and how it lies in
    ///   `closer`
    #[must_use]
    pub(crate) fn joined(
        &self,
        letterbox: &Letterbox,
        closer: &Self,
        section: &Section,
        section_letterbox: &Letterbox,
        finer: usize,
    ) -> Self {
        let size = self.size().map(|n| n * finer);
        let mut whole = Vec::with_capacity(size[0] * size[1]);
        let mut near = Vec::with_capacity(size[0] * size[1]);
        for row in 0..size[0] {
            for column in 0..size[1] {
                let place = ModelXy {
                    x: (column as f64 + 0.5) / size[1] as f64,
                    y: (row as f64 + 0.5) / size[0] as f64,
                };
                whole.push(self.density(place));
                // Points of the padding go to the image's edge, which is not where they are.
                let point = letterbox.unit_from_model(place);
                let back = letterbox.model_from_unit(point);
                let is_image = (back.x - place.x).abs() < 1e-9 && (back.y - place.y).abs() < 1e-9;
                let inside = if is_image { section.inside(point) } else { None };
                near.push(
                    inside.map_or(0.0, |point| {
                        closer.density(section_letterbox.model_from_unit(point))
                    }),
                );
            }
        }
        scale_to(&mut whole, (1.0 - SECTION_WEIGHT) * (1.0 - self.nowhere()));
        scale_to(&mut near, SECTION_WEIGHT * (1.0 - closer.nowhere()));
        whole.iter_mut().zip(near).for_each(|(whole, near)| *whole += near);
        scale_to(&mut whole, 1.0 - self.nowhere());
        Self::of(size, whole, self.nowhere())
    }

    /// The probability around a place, up to a factor: interpolated between the centres of the
    /// nearest cells.
    fn density(&self, place: ModelXy) -> f32 {
        let [height, width] = self.size();
        let along = |at: f64, n: usize| {
            let at = (at * n as f64 - 0.5).clamp(0.0, (n - 1) as f64);
            let first = (at as usize).min(n.saturating_sub(2));
            (first, (first + 1).min(n - 1), (at - first as f64) as f32)
        };
        let ((top, bottom, down), (left, right, across)) =
            (along(place.y, height), along(place.x, width));
        let line = |row: usize| {
            let cells = &self.cells()[row * width..][..width];
            cells[left] * (1.0 - across) + cells[right] * across
        };
        line(top) * (1.0 - down) + line(bottom) * down
    }
}

/// Scales non-negative values to a sum; all that are 0 stay so.
fn scale_to(values: &mut [f32], sum: f32) {
    let now: f32 = values.iter().sum();
    if now > 0.0 {
        values.iter_mut().for_each(|value| *value *= sum / now);
    }
}

#[cfg(test)]
mod tests {
    use tp_core::{Fit, ImageHw, UnitXy};

    use super::*;
    use crate::Decoding;

    /// A map with all its mass but "nowhere"'s in one cell.
    fn peak(size: [usize; 2], cell: usize, nowhere: f32) -> Heatmap {
        let mut cells = vec![0.0; size[0] * size[1]];
        cells[cell] = 1.0 - nowhere;
        Heatmap::of(size, cells, nowhere)
    }

    #[test]
    fn a_section_tells_more_finely_where_the_answer_is() {
        // Twice as wide as high: the section of a half is a square of 50 pixels around (0.5, 0.5).
        let size = ImageHw::new(50, 100).unwrap();
        let whole = Letterbox::new(size, Fit::PadToSquare);
        let near = Letterbox::new(ImageHw::new(50, 50).unwrap(), Fit::PadToSquare);
        let section = Section::around(UnitXy::new(0.5, 0.5).unwrap(), size, 0.5);
        // 8×8 cells; the section's cell in row 1, column 6 is at x 25 + 50 · 6.5/8, y 50 · 1.5/8
        // pixels.
        let joined = peak([8, 8], 4 * 8 + 4, 0.0).joined(
            &whole,
            &peak([8, 8], 8 + 6, 0.0),
            &section,
            &near,
            2,
        );
        assert_eq!(joined.size(), [16, 16]);
        assert!((joined.cells().iter().sum::<f32>() - 1.0).abs() < 1e-5);
        let at = |x: f64, y: f64| {
            let place = whole.model_from_unit(UnitXy::new(x, y).unwrap());
            joined.cells()[(place.y * 16.0) as usize * 16 + (place.x * 16.0) as usize]
        };
        let found = at((25.0 + 50.0 * 6.5 / 8.0) / 100.0, 1.5 / 8.0);
        assert!(
            (found - SECTION_WEIGHT).abs() < 1e-5,
            "the section's mass, in one finer cell: {found}"
        );
    }

    #[test]
    fn a_section_that_shows_nothing_counts_for_nothing() {
        let size = ImageHw::new(64, 64).unwrap();
        let letterbox = Letterbox::new(size, Fit::PadToSquare);
        let section = Section::around(UnitXy::new(0.1, 0.1).unwrap(), size, 0.5);
        let joined = peak([8, 8], 9, 0.25).joined(
            &letterbox,
            &peak([8, 8], 63, 1.0),
            &section,
            &letterbox,
            2,
        );
        assert!((joined.nowhere() - 0.25).abs() < 1e-6);
        let located = joined.locate(&letterbox, Decoding::Mass, 0.5).unwrap();
        assert!(located.point.distance(UnitXy::new(1.5 / 8.0, 1.5 / 8.0).unwrap()) < 0.05);
    }
}
