//! An object under construction: its parts, and the shapes of each part, back to front.

use super::{
    geometry::{Bounds, Vec2, v},
    shapes::Outline,
};

/// The role of a shape, which selects one of the object's paints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Coat, bodywork, wall.
    Main,
    /// A contrasting part: muzzle, roof, wing.
    Second,
    /// Mane, stripe, leaf.
    Accent,
    /// Horn, door, flower.
    Detail,
    /// Eyes, tires, openings.
    Dark,
    /// Panes and lights.
    Light,
}

impl Role {
    /// The number of roles.
    pub(super) const COUNT: usize = 6;
}

/// One shape of a figure.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) outline: Outline,
    /// Index into [`Figure::parts`].
    pub(super) part: usize,
    pub(super) role: Role,
    /// Brightness relative to other shapes of the same role; 1 = unchanged.
    pub(super) tone: f32,
}

/// A part that has been started.
#[derive(Clone, Copy, Debug)]
pub(super) struct PartSlot(usize);

/// An object in its own coordinates: facing right, in any unit.
#[derive(Clone, Debug, Default)]
pub(super) struct Figure {
    /// The name of every part instance.
    pub(super) parts: Vec<&'static str>,
    /// Back to front.
    pub(super) shapes: Vec<Shape>,
    tone: f32,
    current: usize,
}

impl Figure {
    pub(super) fn new() -> Self {
        Self { tone: 1.0, ..Self::default() }
    }

    /// Starts a part: the following shapes belong to it until another part is started or resumed.
    pub(super) fn part(&mut self, name: &'static str) -> PartSlot {
        self.parts.push(name);
        self.current = self.parts.len() - 1;
        PartSlot(self.current)
    }

    /// Continues an earlier part.
    pub(super) fn resume(&mut self, part: PartSlot) {
        self.current = part.0;
    }

    /// Sets the brightness of the following shapes.
    pub(super) fn tone(&mut self, tone: f32) {
        self.tone = tone;
    }

    pub(super) fn add(&mut self, outline: Outline, role: Role) {
        self.shapes.push(Shape { outline, part: self.current, role, tone: self.tone });
    }

    pub(super) fn disc(&mut self, center: Vec2, radius: f32, role: Role) {
        self.ellipse(center, v(radius, radius), 0.0, role);
    }

    /// An ellipse whose first half axis has the given direction (degrees, 90 = up).
    pub(super) fn ellipse(&mut self, center: Vec2, half: Vec2, degrees: f32, role: Role) {
        let axes = [Vec2::polar(degrees, half.x), Vec2::polar(degrees + 90.0, half.y)];
        self.add(Outline::Ellipse { center, axes, hole: 0.0 }, role);
    }

    /// An upright ring; `hole` is the inner share that is empty.
    pub(super) fn ring(&mut self, center: Vec2, half: Vec2, hole: f32, role: Role) {
        self.add(Outline::Ellipse { center, axes: [v(half.x, 0.0), v(0.0, half.y)], hole }, role);
    }

    pub(super) fn limb(&mut self, from: Vec2, to: Vec2, radii: [f32; 2], role: Role) {
        self.add(Outline::Limb { from, to, radii }, role);
    }

    pub(super) fn polygon(&mut self, points: &[Vec2], role: Role) {
        self.add(Outline::Polygon(points.to_vec()), role);
    }

    /// A closed smooth curve through points.
    pub(super) fn curve(&mut self, through: &[Vec2], role: Role) {
        self.add(Outline::curve(through), role);
    }

    /// An upright rectangle given by two corners.
    pub(super) fn rect(&mut self, a: Vec2, b: Vec2, role: Role) {
        self.polygon(&[a, v(b.x, a.y), b, v(a.x, b.y)], role);
    }

    pub(super) fn bounds(&self) -> Bounds {
        self.shapes.iter().fold(Bounds::EMPTY, |bounds, shape| bounds.and(shape.outline.bounds()))
    }
}
