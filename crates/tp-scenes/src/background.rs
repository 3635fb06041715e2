//! Backgrounds: two muted zones with smooth and fine noise, and sometimes a faint pattern.

use tp_core::ImageHw;

use super::{
    draw::{Draw, unit_of_cell},
    geometry::v,
    layout::quiet_texture,
    palette::{Colour, mixed, muted, nudged},
    texture::Texture,
};

pub(super) struct Background {
    /// The colors at the top and the bottom of the upper and the lower zone.
    zones: [[Colour; 2]; 2],
    /// The row between the zones; 0 if there is only one.
    horizon: f32,
    height: f32,
    /// The reciprocal of the picture's longer side.
    inverse_side: f32,
    texture: Texture,
    texture_strength: f32,
    octaves: Vec<Octave>,
}

/// One octave of smooth noise, on a grid that covers the picture.
struct Octave {
    cells_per_pixel: f32,
    columns: usize,
    values: Vec<f32>,
}

impl Octave {
    fn new(size: ImageHw, cells: f32, amplitude: f32, draw: &mut Draw) -> Self {
        let cells_per_pixel = cells / size.height().max(size.width()) as f32;
        let extent = |n: u32| (n as f32 * cells_per_pixel) as usize + 2;
        let (rows, columns, seed) = (extent(size.height()), extent(size.width()), draw.word());
        let value = |i: usize| {
            amplitude * (2.0 * unit_of_cell((i % columns) as i32, (i / columns) as i32, seed) - 1.0)
        };
        Self { cells_per_pixel, columns, values: (0..rows * columns).map(value).collect() }
    }

    /// Adds one row of this octave.
    fn add(&self, row: usize, scratch: &mut Vec<f32>, noise: &mut [f32]) {
        let y = row as f32 * self.cells_per_pixel;
        let cell = y as usize;
        let t = y - cell as f32;
        let upper = &self.values[cell * self.columns..][..self.columns];
        let lower = &self.values[(cell + 1) * self.columns..][..self.columns];
        scratch.clear();
        scratch.extend(upper.iter().zip(lower).map(|(a, b)| a + (b - a) * t));
        // Within a grid cell the noise is linear, so cells are processed one by one.
        let mut start = 0;
        for (cell, pair) in scratch.windows(2).enumerate() {
            let end = (((cell + 1) as f32 / self.cells_per_pixel).ceil() as usize).min(noise.len());
            let slope = (pair[1] - pair[0]) * self.cells_per_pixel;
            let first = pair[0] + slope * (start as f32 - cell as f32 / self.cells_per_pixel);
            for (step, value) in noise[start..end].iter_mut().enumerate() {
                *value += first + slope * step as f32;
            }
            start = end;
        }
    }
}

impl Background {
    pub(super) fn new(size: ImageHw, draw: &mut Draw) -> Self {
        let zone = |draw: &mut Draw| {
            let top = muted(draw);
            [top, nudged(top, 0.12, draw)]
        };
        let octaves = [(3.0, 0.10), (9.0, 0.08), (30.0, 0.08), (90.0, 0.07)];
        Self {
            zones: [zone(draw), zone(draw)],
            horizon: if draw.chance(0.65) {
                draw.range(0.2, 0.7) * size.height() as f32
            } else {
                0.0
            },
            height: size.height() as f32,
            inverse_side: 1.0 / size.height().max(size.width()) as f32,
            texture: quiet_texture(draw),
            texture_strength: draw.range(-0.09, 0.09),
            octaves: octaves
                .map(|(cells, amplitude)| {
                    Octave::new(size, draw.vary(cells, 0.3), draw.range(0.1, 1.0) * amplitude, draw)
                })
                .into(),
        }
    }

    /// The colors of one row. `noise` and `scratch` are buffers that are reused between rows.
    pub(super) fn row(
        &self,
        row: usize,
        scratch: &mut Vec<f32>,
        noise: &mut [f32],
        colours: &mut [Colour],
    ) {
        noise.fill(0.0);
        for octave in &self.octaves {
            octave.add(row, scratch, noise);
        }
        let y = row as f32;
        let (zone, from, to) =
            if y < self.horizon { (0, 0.0, self.horizon) } else { (1, self.horizon, self.height) };
        let base = mixed(self.zones[zone][0], self.zones[zone][1], (y - from) / (to - from));
        if zone == 1 && self.texture_strength.abs() > 0.02 {
            for (column, noise) in noise.iter_mut().enumerate() {
                *noise += self.texture_strength
                    * self
                        .texture
                        .share(v(column as f32 * self.inverse_side, y * self.inverse_side));
            }
        }
        for (colour, noise) in colours.iter_mut().zip(noise) {
            *colour = base.map(|channel| channel + *noise);
        }
    }
}
