//! Vectors and affine maps of the scenes: x to the right, y downwards.

use std::ops::{Add, Mul, Neg, Sub};

/// A position or a displacement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Vec2 {
    pub(super) x: f32,
    pub(super) y: f32,
}

pub(super) const fn v(x: f32, y: f32) -> Vec2 {
    Vec2 { x, y }
}

impl Vec2 {
    /// A displacement from its direction in degrees: 0 is to the right, 90 is up.
    pub(super) fn polar(degrees: f32, length: f32) -> Self {
        let (sin, cos) = degrees.to_radians().sin_cos();
        v(cos * length, -sin * length)
    }

    pub(super) fn dot(self, other: Self) -> f32 {
        self.x * other.x + self.y * other.y
    }

    pub(super) fn length(self) -> f32 {
        self.dot(self).sqrt()
    }

    /// The point at a share of the way to another one.
    pub(super) fn toward(self, other: Self, share: f32) -> Self {
        self + (other - self) * share
    }
}

impl Add for Vec2 {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        v(self.x + other.x, self.y + other.y)
    }
}

impl Sub for Vec2 {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        v(self.x - other.x, self.y - other.y)
    }
}

impl Mul<f32> for Vec2 {
    type Output = Self;
    fn mul(self, factor: f32) -> Self {
        v(self.x * factor, self.y * factor)
    }
}

impl Neg for Vec2 {
    type Output = Self;
    fn neg(self) -> Self {
        v(-self.x, -self.y)
    }
}

/// `[a, b]` and `[c, d]` are the rows of the matrix; the offset is added last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Affine {
    pub(super) rows: [Vec2; 2],
    pub(super) offset: Vec2,
}

impl Affine {
    pub(super) fn vector(&self, p: Vec2) -> Vec2 {
        v(self.rows[0].dot(p), self.rows[1].dot(p))
    }

    pub(super) fn place(&self, p: Vec2) -> Vec2 {
        self.vector(p) + self.offset
    }

    /// The mean factor by which lengths change.
    pub(super) fn scale(&self) -> f32 {
        self.determinant().abs().sqrt()
    }

    /// The inverse map; the matrix must be invertible.
    pub(super) fn inverse(&self) -> Self {
        let [Vec2 { x: a, y: b }, Vec2 { x: c, y: d }] = self.rows;
        let factor = 1.0 / self.determinant();
        let linear = Self { rows: [v(d, -b) * factor, v(-c, a) * factor], offset: v(0.0, 0.0) };
        Self { offset: -linear.vector(self.offset), ..linear }
    }

    fn determinant(&self) -> f32 {
        self.rows[0].x * self.rows[1].y - self.rows[0].y * self.rows[1].x
    }
}

/// An axis-aligned box given by its corners.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) low: Vec2,
    pub(super) high: Vec2,
}

impl Bounds {
    /// The empty box.
    pub(super) const EMPTY: Self = Self {
        low: v(f32::INFINITY, f32::INFINITY),
        high: v(f32::NEG_INFINITY, f32::NEG_INFINITY),
    };

    pub(super) fn around(center: Vec2, half: Vec2) -> Self {
        Self { low: center - half, high: center + half }
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self {
            low: v(self.low.x.min(other.low.x), self.low.y.min(other.low.y)),
            high: v(self.high.x.max(other.high.x), self.high.y.max(other.high.y)),
        }
    }

    pub(super) fn center(&self) -> Vec2 {
        self.low.toward(self.high, 0.5)
    }

    pub(super) fn extent(&self) -> Vec2 {
        self.high - self.low
    }

    /// The area of the intersection of two boxes.
    pub(super) fn shared_area(&self, other: &Self) -> f32 {
        let width = self.high.x.min(other.high.x) - self.low.x.max(other.low.x);
        let height = self.high.y.min(other.high.y) - self.low.y.max(other.low.y);
        width.max(0.0) * height.max(0.0)
    }

    pub(super) fn area(&self) -> f32 {
        self.shared_area(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inverse_undoes_the_map() {
        let map = Affine { rows: [v(2.0, -0.5), v(0.25, -1.5)], offset: v(30.0, 7.0) };
        let p = v(3.0, -4.0);
        assert!((map.inverse().place(map.place(p)) - p).length() < 1e-4);
    }

    #[test]
    fn direction_of_90_degrees_is_up() {
        assert!((Vec2::polar(90.0, 2.0) - v(0.0, -2.0)).length() < 1e-6);
    }
}
