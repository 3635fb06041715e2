//! Spatial relations between two objects, in everyday words. A relation is stated only if it holds
//! without doubt, and counts as possible for another object as soon as someone could consider it
//! true.

use crate::{BoxXywh, ObjectAnnotation};

/// A spatial relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    LeftOf,
    RightOf,
    Above,
    Below,
    NextTo,
    InFrontOf,
    Behind,
}

impl Relation {
    pub(super) const ALL: [Self; 7] = [
        Self::LeftOf,
        Self::RightOf,
        Self::Above,
        Self::Below,
        Self::NextTo,
        Self::InFrontOf,
        Self::Behind,
    ];

    /// The words before the name of the other object.
    pub(super) fn words(self) -> &'static [&'static str] {
        match self {
            Self::LeftOf => &["to the left of", "left of", "on the left of"],
            Self::RightOf => &["to the right of", "right of", "on the right of"],
            Self::Above => &["above"],
            Self::Below => &["below"],
            Self::NextTo => &["next to", "beside", "by"],
            Self::InFrontOf => &["in front of"],
            Self::Behind => &["behind"],
        }
    }

    /// Whether it also applies between objects at very different distances: a car is not below the
    /// house behind it.
    pub(super) fn is_sideways(self) -> bool {
        matches!(self, Self::LeftOf | Self::RightOf | Self::NextTo)
    }

    /// Whether the relation of `a` to `b` holds without doubt.
    pub(super) fn holds(self, a: &ObjectAnnotation, b: &ObjectAnnotation) -> bool {
        let (this, other) = (&a.bbox, &b.bbox);
        match self {
            Self::LeftOf => {
                gap_x(this, other) > -0.15 * this.width.min(other.width)
                    && is_left(this, other)
                    && shared_y(this, other) >= 0.3
            }
            Self::RightOf => Self::LeftOf.holds(b, a),
            Self::Above => {
                gap_y(this, other) > -0.15 * this.height.min(other.height)
                    && is_above(this, other)
                    && shared_x(this, other) >= 0.3
            }
            Self::Below => Self::Above.holds(b, a),
            Self::NextTo => {
                let gap = gap_x(this, other);
                let comparable =
                    this.area().max(other.area()) <= 8.0 * this.area().min(other.area());
                comparable
                    && shared_y(this, other) >= 0.5
                    && gap > -0.15 * this.width.min(other.width)
                    && gap < reach(this, other)
            }
            Self::InFrontOf => is_in_front(a, b),
            Self::Behind => is_in_front(b, a),
        }
    }

    /// Whether someone could consider the relation of `a` to `b` true.
    pub(super) fn may_hold(self, a: &ObjectAnnotation, b: &ObjectAnnotation) -> bool {
        let (this, other) = (&a.bbox, &b.bbox);
        match self {
            Self::LeftOf => is_left(this, other),
            Self::RightOf => is_left(other, this),
            Self::Above => is_above(this, other),
            Self::Below => is_above(other, this),
            Self::NextTo => gap_x(this, other).max(gap_y(this, other)) < 2.0 * reach(this, other),
            Self::InFrontOf | Self::Behind => gap_x(this, other) < 0.0 && gap_y(this, other) < 0.0,
        }
    }
}

/// Whether `a` is without doubt between two others: on one line with them, one on each side.
pub(super) fn is_between(a: &ObjectAnnotation, b: &ObjectAnnotation, c: &ObjectAnnotation) -> bool {
    (Relation::RightOf.holds(a, b) && Relation::LeftOf.holds(a, c))
        || (Relation::RightOf.holds(a, c) && Relation::LeftOf.holds(a, b))
}

/// Whether someone could consider `a` to be between the others.
pub(super) fn may_be_between(
    a: &ObjectAnnotation,
    b: &ObjectAnnotation,
    c: &ObjectAnnotation,
) -> bool {
    let [at, one, two] = [a, b, c].map(|object| object.bbox.center().x);
    (one.min(two)..=one.max(two)).contains(&at)
}

fn is_left(a: &BoxXywh, b: &BoxXywh) -> bool {
    a.center().x < b.center().x
}

fn is_above(a: &BoxXywh, b: &BoxXywh) -> bool {
    a.center().y < b.center().y
}

/// The horizontal gap between the two in pixels; negative if they overlap.
fn gap_x(a: &BoxXywh, b: &BoxXywh) -> f64 {
    (b.x - a.x - a.width).max(a.x - b.x - b.width)
}

fn gap_y(a: &BoxXywh, b: &BoxXywh) -> f64 {
    (b.y - a.y - a.height).max(a.y - b.y - b.height)
}

/// The maximum distance of neighbors: half of their mean width.
fn reach(a: &BoxXywh, b: &BoxXywh) -> f64 {
    (a.width + b.width) / 4.0
}

/// The vertical overlap, as a share of the lower one's height.
fn shared_y(a: &BoxXywh, b: &BoxXywh) -> f64 {
    (-gap_y(a, b)).max(0.0).min(a.height).min(b.height) / a.height.min(b.height)
}

fn shared_x(a: &BoxXywh, b: &BoxXywh) -> f64 {
    (-gap_x(a, b)).max(0.0).min(a.width).min(b.width) / a.width.min(b.width)
}

/// Whether `a` occludes `b`: in the overlap of their boxes, its pixels are visible and those of the
/// other are not; and it extends further down, so that it does not just lie on the other.
fn is_in_front(a: &ObjectAnnotation, b: &ObjectAnnotation) -> bool {
    let (Some(front), Some(back)) = (&a.mask, &b.mask) else {
        return false;
    };
    let (x, y) = (a.bbox.x.max(b.bbox.x), a.bbox.y.max(b.bbox.y));
    let (right, bottom) = (
        (a.bbox.x + a.bbox.width).min(b.bbox.x + b.bbox.width),
        (a.bbox.y + a.bbox.height).min(b.bbox.y + b.bbox.height),
    );
    if right <= x || bottom <= y || a.bbox.y + a.bbox.height <= b.bbox.y + b.bbox.height {
        return false;
    }
    let overlap = (right - x) * (bottom - y);
    if overlap < 0.15 * a.bbox.area().min(b.bbox.area()) {
        return false;
    }
    let (mut n_front, mut n_back, mut n_all) = (0.0, 0.0, 0.0);
    for row in y as usize..bottom as usize {
        for column in x as usize..right as usize {
            n_all += 1.0;
            n_front += f64::from(u8::from(front.contains(row, column)));
            n_back += f64::from(u8::from(back.contains(row, column)));
        }
    }
    n_all > 0.0 && n_front >= 0.5 * n_all && n_back <= 0.3 * n_all
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::Mask;

    fn thing(x: f64, y: f64, width: f64, height: f64) -> ObjectAnnotation {
        ObjectAnnotation {
            id: 0,
            category: "box".to_owned(),
            also: Vec::new(),
            family: None,
            bbox: BoxXywh { x, y, width, height },
            mask: None,
            parts: Vec::new(),
            keypoints: Vec::new(),
            derived: None,
        }
    }

    #[test]
    fn left_of_needs_a_shared_height() {
        let (cup, level, high) = (
            thing(0.0, 50.0, 20.0, 20.0),
            thing(60.0, 52.0, 20.0, 20.0),
            thing(60.0, 0.0, 20.0, 20.0),
        );
        assert!(Relation::LeftOf.holds(&cup, &level) && Relation::RightOf.holds(&level, &cup));
        assert!(!Relation::LeftOf.holds(&cup, &high) && Relation::LeftOf.may_hold(&cup, &high));
        assert!(!Relation::LeftOf.holds(&level, &cup) && !Relation::Above.holds(&cup, &level));
    }

    #[test]
    fn above_needs_a_shared_side() {
        let (lamp, table, chair) = (
            thing(10.0, 0.0, 20.0, 30.0),
            thing(0.0, 30.0, 60.0, 40.0),
            thing(90.0, 40.0, 20.0, 40.0),
        );
        assert!(Relation::Above.holds(&lamp, &table) && Relation::Below.holds(&table, &lamp));
        assert!(!Relation::Above.holds(&lamp, &chair) && Relation::Above.may_hold(&lamp, &chair));
    }

    #[test]
    fn neighbours_are_near_and_of_a_size() {
        let cup = thing(0.0, 50.0, 20.0, 20.0);
        // Half of the mean width of 20 and 20 is 10.
        assert!(Relation::NextTo.holds(&cup, &thing(29.0, 50.0, 20.0, 20.0)));
        assert!(!Relation::NextTo.holds(&cup, &thing(31.0, 50.0, 20.0, 20.0)));
        assert!(Relation::NextTo.may_hold(&cup, &thing(31.0, 50.0, 20.0, 20.0)));
        assert!(
            !Relation::NextTo.holds(&cup, &thing(22.0, 0.0, 80.0, 80.0)),
            "a wall is no neighbour of a cup"
        );
    }

    #[test]
    fn between_has_one_on_each_side() {
        let [a, b, c] = [0.0, 40.0, 80.0].map(|x| thing(x, 10.0, 20.0, 20.0));
        assert!(is_between(&b, &a, &c) && is_between(&b, &c, &a));
        assert!(!is_between(&a, &b, &c) && !is_between(&c, &a, &b));
        assert!(may_be_between(&b, &a, &c) && !may_be_between(&a, &b, &c));
    }

    #[test]
    fn only_masks_can_tell_what_is_in_front() {
        let mut cup = thing(10.0, 10.0, 20.0, 30.0);
        let mut crate_ = thing(0.0, 0.0, 40.0, 30.0);
        assert!(!Relation::InFrontOf.holds(&cup, &crate_));
        let seen = |of: BoxXywh, hidden: Option<BoxXywh>| {
            Mask::new(Array2::from_shape_fn((50, 50), |(row, column)| {
                let holds = |bbox: BoxXywh| {
                    (bbox.y..bbox.y + bbox.height).contains(&(row as f64))
                        && (bbox.x..bbox.x + bbox.width).contains(&(column as f64))
                };
                holds(of) && !hidden.is_some_and(holds)
            }))
        };
        cup.mask = Some(seen(cup.bbox, None));
        crate_.mask = Some(seen(crate_.bbox, Some(cup.bbox)));
        assert!(Relation::InFrontOf.holds(&cup, &crate_) && Relation::Behind.holds(&crate_, &cup));
        assert!(
            !Relation::InFrontOf.holds(&crate_, &cup) && !Relation::Behind.holds(&cup, &crate_)
        );
    }
}
