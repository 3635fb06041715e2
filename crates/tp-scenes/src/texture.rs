//! Surface patterns: the share of a paint's second color at each position of an object.

use super::{
    draw::{Draw, cell_of, unit_of_cell, value_noise},
    geometry::{Vec2, v},
};

/// A kind of pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pattern {
    /// A single color.
    Plain,
    /// Fine irregular brightness, like fur or plaster.
    Grain,
    /// Slightly wavy bands.
    Stripes,
    /// Round spots.
    Spots,
    /// Large irregular patches, like those of a cow.
    Patches,
    /// A checkerboard.
    Checks,
    /// Small random squares.
    Speckle,
    /// One color above, the other below.
    Gradient,
    /// Rows of bricks with joints.
    Bricks,
}

/// A pattern with its scale and direction, in units of the object's longer side.
#[derive(Clone, Copy, Debug)]
pub(super) struct Texture {
    pattern: Pattern,
    /// The number of periods along the object's longer side.
    frequency: f32,
    direction: Vec2,
    seed: u32,
}

impl Texture {
    pub(super) fn new(pattern: Pattern, draw: &mut Draw) -> Self {
        let (frequency, degrees) = match pattern {
            Pattern::Plain | Pattern::Gradient => (1.0, 0.0),
            Pattern::Grain => (draw.range(20.0, 40.0), draw.range(0.0, 180.0)),
            Pattern::Stripes => (draw.range(8.0, 13.0), draw.range(-20.0, 20.0)),
            Pattern::Spots => (draw.range(8.0, 14.0), draw.range(0.0, 90.0)),
            Pattern::Patches => (draw.range(3.5, 6.0), draw.range(0.0, 90.0)),
            Pattern::Checks => (draw.range(8.0, 16.0), draw.range(-10.0, 10.0)),
            Pattern::Speckle => (draw.range(26.0, 44.0), draw.range(0.0, 90.0)),
            Pattern::Bricks => (draw.range(10.0, 16.0), 0.0),
        };
        Self { pattern, frequency, direction: Vec2::polar(degrees, 1.0), seed: draw.word() }
    }

    /// A random pattern; stripes have a random direction.
    pub(super) fn random(draw: &mut Draw) -> Self {
        use Pattern::{Checks, Gradient, Grain, Patches, Plain, Speckle, Spots, Stripes};
        let pattern =
            draw.pick(&[Plain, Grain, Grain, Stripes, Spots, Patches, Checks, Speckle, Gradient]);
        let texture = Self::new(pattern, draw);
        let degrees = draw.range(0.0, 180.0);
        Self {
            direction: if pattern == Stripes {
                Vec2::polar(degrees, 1.0)
            } else {
                texture.direction
            },
            ..texture
        }
    }

    pub(super) fn pattern(&self) -> Pattern {
        self.pattern
    }

    /// The share of the second color at a position; the origin is the object's center, the unit its
    /// longer side.
    #[inline]
    pub(super) fn share(&self, p: Vec2) -> f32 {
        if self.pattern == Pattern::Plain {
            return 0.0;
        }
        let turned = v(p.dot(self.direction), p.y * self.direction.x - p.x * self.direction.y);
        let Vec2 { x, y } = turned * self.frequency;
        let flag = |on: bool| f32::from(u8::from(on));
        match self.pattern {
            Pattern::Plain => 0.0,
            Pattern::Grain => 0.7 * unit_of_cell(cell_of(x).0, cell_of(y * 2.0).0, self.seed),
            Pattern::Stripes => {
                let wave = value_noise(x * 0.35, y * 0.35, self.seed);
                flag(cell_of(x + 1.4 * wave).1 < 0.46)
            }
            Pattern::Spots => {
                let ((i, across), (j, down)) = (cell_of(x), cell_of(y));
                let radius = 0.2 + 0.2 * unit_of_cell(i, j, self.seed);
                let place =
                    |salt| radius + (1.0 - 2.0 * radius) * unit_of_cell(i, j, self.seed ^ salt);
                let offset = v(across - place(0x51), down - place(0xa7));
                flag(offset.dot(offset) < radius * radius)
            }
            Pattern::Patches => flag(value_noise(x, y, self.seed) > 0.55),
            Pattern::Checks => flag((cell_of(x).0 ^ cell_of(y).0) & 1 == 0),
            Pattern::Speckle => flag(unit_of_cell(cell_of(x).0, cell_of(y).0, self.seed) > 0.72),
            Pattern::Gradient => (0.5 + p.y * 1.6).clamp(0.0, 1.0),
            Pattern::Bricks => {
                let (course, down) = cell_of(y);
                let shift = if course & 1 == 0 { 0.0 } else { 0.5 };
                flag(down < 0.16 || cell_of(x * 0.5 + shift).1 < 0.1)
            }
        }
    }
}
