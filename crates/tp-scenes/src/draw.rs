//! Random draws of the scene generator, and the hash function of its textures.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use tp_core::Seed;

/// A stream of random choices.
pub(super) struct Draw {
    rng: ChaCha8Rng,
}

impl Draw {
    pub(super) fn new(seed: Seed) -> Self {
        Self { rng: seed.rng() }
    }

    /// Uniform between two values, which may be equal.
    pub(super) fn range(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.rng.random::<f32>()
    }

    /// A value varied by up to a relative amount.
    pub(super) fn vary(&mut self, value: f32, relative: f32) -> f32 {
        value * self.range(1.0 - relative, 1.0 + relative)
    }

    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.rng.random::<f64>() < probability
    }

    /// 0 to `n` - 1; `n` must not be 0.
    pub(super) fn index(&mut self, n: usize) -> usize {
        self.rng.random_range(0..n)
    }

    /// Uniform among `low..=high`.
    pub(super) fn count(&mut self, low: usize, high: usize) -> usize {
        self.rng.random_range(low..=high)
    }

    /// One of several choices; the slice must not be empty.
    pub(super) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.index(choices.len())]
    }

    /// A seed for a texture.
    pub(super) fn word(&mut self) -> u32 {
        self.rng.random()
    }
}

/// A 32-bit hash of a cell of an integer grid.
#[inline]
pub(super) fn hash_cell(x: i32, y: i32, seed: u32) -> u32 {
    let mut h = (x as u32).wrapping_mul(0x9e37_79b1) ^ (y as u32).wrapping_mul(0x85eb_ca77) ^ seed;
    h = (h ^ (h >> 15)).wrapping_mul(0x2c1b_3c6d);
    h = (h ^ (h >> 12)).wrapping_mul(0x297a_2d39);
    h ^ (h >> 15)
}

/// The grid cell that contains a coordinate, and the offset in it, from 0 to 1: `floor` and the
/// fraction, without a function call on processors whose baseline has no `floor` instruction.
#[inline]
pub(super) fn cell_of(x: f32) -> (i32, f32) {
    let cell = x as i32;
    let cell = cell - i32::from(x < cell as f32);
    (cell, x - cell as f32)
}

/// A number in `[0, 1)` for a grid cell.
#[inline]
pub(super) fn unit_of_cell(x: i32, y: i32, seed: u32) -> f32 {
    (hash_cell(x, y, seed) >> 8) as f32 / 16_777_216.0
}

/// Value noise in `[0, 1)` with a period of one unit.
#[inline]
pub(super) fn value_noise(x: f32, y: f32, seed: u32) -> f32 {
    let ((i, s), (j, t)) = (cell_of(x), cell_of(y));
    let smooth = |t: f32| t * t * (3.0 - 2.0 * t);
    let (s, t) = (smooth(s), smooth(t));
    let mix = |a: f32, b: f32, s: f32| a + (b - a) * s;
    let top = mix(unit_of_cell(i, j, seed), unit_of_cell(i + 1, j, seed), s);
    let bottom = mix(unit_of_cell(i, j + 1, seed), unit_of_cell(i + 1, j + 1, seed), s);
    mix(top, bottom, t)
}
