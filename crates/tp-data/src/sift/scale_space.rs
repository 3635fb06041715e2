//! The scale space: octaves of halved size, each with increasingly blurred layers.

use super::{SiftOptions, Upscale, blur::blurred};
use crate::GreyImage;

/// The assumed blur of the input image, in pixels.
const CAMERA_SIGMA: f64 = 0.5;

/// One channel in single precision, row-major.
pub(super) struct Plane {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) values: Vec<f32>,
}

impl Plane {
    pub(super) fn zeros(height: usize, width: usize) -> Self {
        Self { height, width, values: vec![0.0; height * width] }
    }

    pub(super) fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.width..][..self.width]
    }

    pub(super) fn at(&self, row: usize, column: usize) -> f32 {
        self.values[row * self.width + column]
    }
}

/// The images of one size: `octave_layers + 3` of them, each blurred `2^(1 / octave_layers)` times
/// as much as the previous one.
pub(super) struct Octave {
    pub(super) layers: Vec<Plane>,
}

impl Octave {
    pub(super) fn new(first: Plane, options: &SiftOptions) -> Self {
        let step = 2.0_f64.powf(1.0 / options.octave_layers as f64);
        let mut layers = vec![first];
        for layer in 1..options.octave_layers + 3 {
            let before = f64::from(options.sigma) * step.powi(layer as i32 - 1);
            let blur = ((before * step).powi(2) - before.powi(2)).sqrt();
            layers.push(blurred(&layers[layer - 1], blur));
        }
        Self { layers }
    }

    /// The difference of two adjacent layers at a pixel, in which extrema are searched.
    pub(super) fn difference(&self, layer: usize, row: usize, column: usize) -> f32 {
        self.layers[layer + 1].at(row, column) - self.layers[layer].at(row, column)
    }

    /// The first layer of the next octave: every second pixel of the layer with twice the blur of
    /// the first.
    pub(super) fn next_base(mut self, options: &SiftOptions) -> Option<Plane> {
        let plane = self.layers.swap_remove(options.octave_layers);
        let (height, width) = (plane.height / 2, plane.width / 2);
        let rows = (0..height).flat_map(|row| plane.row(2 * row).iter().step_by(2).take(width));
        (height > 0 && width > 0).then(|| Plane { height, width, values: rows.copied().collect() })
    }
}

/// The number of octaves of a doubled image.
pub(super) fn n_octaves(base: &Plane) -> usize {
    let shorter = base.height.min(base.width) as f64;
    ((shorter.log2() - 2.0).round_ties_even() + 1.0).max(0.0) as usize
}

/// The image at twice its size, with the initial blur.
pub(super) fn upsampled_base(grey: &GreyImage, options: &SiftOptions) -> Plane {
    let camera = 4.0 * CAMERA_SIGMA * CAMERA_SIGMA; // doubled with the image
    let blur = (f64::from(options.sigma).powi(2) - camera).max(0.01).sqrt();
    blurred(&doubled(grey, options.upscale), blur)
}

fn doubled(grey: &GreyImage, upscale: Upscale) -> Plane {
    let (height, width) = (grey.size().height() as usize, grey.size().width() as usize);
    let mut widened = Plane::zeros(height, 2 * width);
    for (row, out) in
        grey.bytes().chunks_exact(width).zip(widened.values.chunks_exact_mut(2 * width))
    {
        widen(row, upscale, out);
    }
    let mut plane = Plane::zeros(2 * height, 2 * width);
    for (row, out) in plane.values.chunks_exact_mut(2 * width).enumerate() {
        let (first, second, share) = neighbours(row, height, upscale);
        for ((out, &upper), &lower) in
            out.iter_mut().zip(widened.row(first)).zip(widened.row(second))
        {
            *out = upper * (1.0 - share) + lower * share;
        }
    }
    plane
}

fn widen(row: &[u8], upscale: Upscale, out: &mut [f32]) {
    let mixed = |index: usize| {
        let (first, second, share) = neighbours(index, row.len(), upscale);
        f32::from(row[first]) * (1.0 - share) + f32::from(row[second]) * share
    };
    let last = out.len() - 1;
    (out[0], out[last]) = (mixed(0), mixed(last));
    // The remaining pixels lie between pairs of neighbors.
    let [near, far] = match upscale {
        Upscale::HalfPixel => [0.25, 0.75],
        Upscale::Precise => [0.5, 1.0],
    };
    for (out, pair) in out[1..last].as_chunks_mut::<2>().0.iter_mut().zip(row.windows(2)) {
        let (first, second) = (f32::from(pair[0]), f32::from(pair[1]));
        *out = [first * (1.0 - near) + second * near, first * (1.0 - far) + second * far];
    }
}

/// The two pixels, of `n`, between which a pixel of the doubled image lies, and the weight of the
/// second.
fn neighbours(index: usize, n: usize, upscale: Upscale) -> (usize, usize, f32) {
    let half = index / 2;
    match (upscale, index % 2) {
        (Upscale::HalfPixel, 0) => (half.saturating_sub(1), half, 0.75),
        (Upscale::HalfPixel, _) => (half, (half + 1).min(n - 1), 0.25),
        (Upscale::Precise, 0) => (half, half, 0.0),
        (Upscale::Precise, _) => (half, (half + 1).min(n - 1), 0.5),
    }
}

#[cfg(test)]
mod tests {
    use tp_core::ImageHw;

    use super::*;

    #[test]
    fn doubling_follows_the_chosen_grid() {
        let row = GreyImage::from_bytes(ImageHw::new(1, 3).unwrap(), vec![0, 4, 12]).unwrap();
        assert_eq!(doubled(&row, Upscale::HalfPixel).values[..6], [0.0, 1.0, 3.0, 6.0, 10.0, 12.0]);
        assert_eq!(doubled(&row, Upscale::Precise).values[..6], [0.0, 2.0, 4.0, 8.0, 12.0, 12.0]);
    }

    #[test]
    fn octaves_end_before_the_image_does() {
        // The shorter side is 960: log2 is 9.9, less 2 is 7.9, rounded 8, and one more.
        assert_eq!(n_octaves(&Plane::zeros(960, 1504)), 9);
        assert_eq!(n_octaves(&Plane::zeros(2, 2)), 0);
    }
}
