//! The outlines from which all objects are composed, and point-in-outline tests.

use super::geometry::{Affine, Bounds, Vec2, v};

/// An outline.
#[derive(Clone, Debug)]
pub(super) enum Outline {
    /// An ellipse given by its half axes; `hole` is the share of the radius that is empty (0 =
    /// filled).
    Ellipse { center: Vec2, axes: [Vec2; 2], hole: f32 },
    /// A rounded bar that may be thicker at one end.
    Limb { from: Vec2, to: Vec2, radii: [f32; 2] },
    /// A polygon, filled by the even-odd rule.
    Polygon(Vec<Vec2>),
}

impl Outline {
    /// A smooth closed curve through the given points (Catmull-Rom spline), as a polygon.
    pub(super) fn curve(through: &[Vec2]) -> Self {
        const STEPS: usize = 5;
        let n = through.len();
        let mut points = Vec::with_capacity(n * STEPS);
        for i in 0..n {
            let [a, b, c, d] = [(i + n - 1) % n, i, (i + 1) % n, (i + 2) % n].map(|k| through[k]);
            for step in 0..STEPS {
                let t = step as f32 / STEPS as f32;
                let linear = (c - a) * t;
                let square = (a * 2.0 - b * 5.0 + c * 4.0 - d) * (t * t);
                let cube = (b * 3.0 - a - c * 3.0 + d) * (t * t * t);
                points.push(b + (linear + square + cube) * 0.5);
            }
        }
        Self::Polygon(points)
    }

    /// The outline under an affine map. The radii of a limb scale with the mean factor.
    pub(super) fn mapped(&self, map: &Affine) -> Self {
        match self {
            Self::Ellipse { center, axes, hole } => Self::Ellipse {
                center: map.place(*center),
                axes: axes.map(|axis| map.vector(axis)),
                hole: *hole,
            },
            Self::Limb { from, to, radii } => Self::Limb {
                from: map.place(*from),
                to: map.place(*to),
                radii: radii.map(|radius| radius * map.scale()),
            },
            Self::Polygon(points) => Self::Polygon(points.iter().map(|&p| map.place(p)).collect()),
        }
    }

    pub(super) fn bounds(&self) -> Bounds {
        match self {
            Self::Ellipse { center, axes: [a, b], .. } => {
                Bounds::around(*center, v(a.x.hypot(b.x), a.y.hypot(b.y)))
            }
            Self::Limb { from, to, radii } => Bounds::around(*from, v(radii[0], radii[0]))
                .and(Bounds::around(*to, v(radii[1], radii[1]))),
            Self::Polygon(points) => points
                .iter()
                .fold(Bounds::EMPTY, |bounds, &p| bounds.and(Bounds { low: p, high: p })),
        }
    }

    /// Calls `paint(row, column, normal)` for every pixel of a canvas whose center, at integer
    /// coordinates, lies inside.
    ///
    /// The normal is the position on a rounded body: (0, 0) at the center, length 1 or slightly
    /// more at the rim.
    pub(super) fn fill(
        &self,
        [height, width]: [usize; 2],
        mut paint: impl FnMut(usize, usize, Vec2),
    ) {
        let bounds = self.bounds();
        let first = |low: f32| low.ceil().max(0.0) as usize;
        let end = |high: f32, n: usize| ((high.floor() + 1.0).max(0.0) as usize).min(n);
        let (top, bottom) = (first(bounds.low.y), end(bounds.high.y, height));
        let (left, right) = (first(bounds.low.x), end(bounds.high.x, width));
        match self {
            Self::Ellipse { center, axes, hole } => {
                let inverse = unit_from_ellipse(*center, *axes);
                let hole = hole * hole;
                for row in top..bottom {
                    for column in left..right {
                        let normal = inverse.place(v(column as f32, row as f32));
                        let square = normal.dot(normal);
                        if square <= 1.0 && square >= hole {
                            // The axes may have any direction, so the normal is rotated back into
                            // image coordinates.
                            let offset = v(column as f32, row as f32) - *center;
                            paint(
                                row,
                                column,
                                offset * (square / offset.dot(offset).max(1e-6)).sqrt(),
                            );
                        }
                    }
                }
            }
            Self::Limb { from, to, radii } => {
                let along = *to - *from;
                let inverse_square = 1.0 / along.dot(along).max(1e-9);
                for row in top..bottom {
                    for column in left..right {
                        let offset = v(column as f32, row as f32) - *from;
                        let t = (offset.dot(along) * inverse_square).clamp(0.0, 1.0);
                        let (across, radius) =
                            (offset - along * t, radii[0] + (radii[1] - radii[0]) * t);
                        // A bar thinner than a pixel must not disappear between pixel centers.
                        let radius = radius.max(0.55);
                        if across.dot(across) <= radius * radius {
                            paint(row, column, across * (1.0 / radius));
                        }
                    }
                }
            }
            Self::Polygon(points) => {
                let (middle, half) = (bounds.center(), bounds.extent() * 0.5);
                let inverse_half = v(1.0 / half.x.max(0.5), 1.0 / half.y.max(0.5));
                let mut crossings = Vec::with_capacity(8);
                for row in top..bottom {
                    let y = row as f32;
                    crossings_of_row(points, y, &mut crossings);
                    for pair in crossings.chunks_exact(2) {
                        for column in first(pair[0])..end(pair[1], width) {
                            paint(
                                row,
                                column,
                                v(
                                    (column as f32 - middle.x) * inverse_half.x,
                                    (y - middle.y) * inverse_half.y,
                                ),
                            );
                        }
                    }
                }
            }
        }
    }

    /// Whether a point lies inside.
    pub(super) fn holds(&self, p: Vec2) -> bool {
        match self {
            Self::Ellipse { center, axes, hole } => {
                let unit = unit_from_ellipse(*center, *axes).place(p);
                let square = unit.dot(unit);
                square <= 1.0 && square >= hole * hole
            }
            Self::Limb { from, to, radii } => {
                let along = *to - *from;
                let t = ((p - *from).dot(along) / along.dot(along).max(1e-9)).clamp(0.0, 1.0);
                (p - *from - along * t).length() <= radii[0] + (radii[1] - radii[0]) * t
            }
            Self::Polygon(points) => {
                let before = points.iter().rev().take(1).chain(points);
                let left = |(a, b): &(&Vec2, &Vec2)| {
                    (a.y <= p.y) != (b.y <= p.y)
                        && a.x + (p.y - a.y) * (b.x - a.x) / (b.y - a.y) < p.x
                };
                before.zip(points).filter(left).count() % 2 == 1
            }
        }
    }
}

/// Maps an ellipse onto the unit disc.
fn unit_from_ellipse(center: Vec2, [a, b]: [Vec2; 2]) -> Affine {
    Affine { rows: [v(a.x, b.x), v(a.y, b.y)], offset: center }.inverse()
}

/// The x coordinates at which a horizontal line crosses a polygon, ascending; always an even
/// number.
fn crossings_of_row(points: &[Vec2], y: f32, crossings: &mut Vec<f32>) {
    crossings.clear();
    let Some(&last) = points.last() else { return };
    let mut a = last;
    for &b in points {
        if (a.y <= y) != (b.y <= y) {
            crossings.push(a.x + (y - a.y) * (b.x - a.x) / (b.y - a.y));
        }
        a = b;
    }
    crossings.sort_unstable_by(f32::total_cmp);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(outline: &Outline) -> usize {
        let mut n = 0;
        outline.fill([40, 50], |row, column, _| {
            assert!(row < 40 && column < 50);
            n += 1;
        });
        n
    }

    #[test]
    fn square_holds_its_pixels() {
        let square = Outline::Polygon(vec![v(1.5, 2.5), v(5.5, 2.5), v(5.5, 6.5), v(1.5, 6.5)]);
        assert_eq!(count(&square), 16); // columns 2 to 5, rows 3 to 6
        assert!(square.holds(v(2.0, 3.0)) && !square.holds(v(1.0, 3.0)));
    }

    #[test]
    fn ring_is_a_disc_without_its_hole() {
        let disc = |hole| Outline::Ellipse {
            center: v(20.0, 20.0),
            axes: [v(10.0, 0.0), v(0.0, 10.0)],
            hole,
        };
        let share = count(&disc(0.5)) as f64 / count(&disc(0.0)) as f64;
        assert!((share - 0.75).abs() < 0.03, "{share}");
    }

    #[test]
    fn outlines_beyond_the_border_are_cut() {
        let limb = Outline::Limb { from: v(-30.0, -30.0), to: v(90.0, 70.0), radii: [3.0, 8.0] };
        assert!(count(&limb) > 100);
        assert_eq!(count(&Outline::Polygon(vec![v(-9.0, -9.0), v(-3.0, -9.0), v(-3.0, -2.0)])), 0);
    }
}
