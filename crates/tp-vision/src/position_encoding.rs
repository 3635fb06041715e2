//! Sine position codes of cells and of boxes.
//!
//! Sources: Mask2Former's sine position code; OMG-LLaVA's code of point and box prompts. The base
//! model adds a constant vector to the code of its keys, for a time axis of length one; the softmax
//! cancels it, so it is omitted.

use std::f64::consts::TAU;

use burn::tensor::{Device, Tensor, TensorData};

use crate::VisionConfig;

/// The parameters of a position code.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SineCode {
    temperature: f64,
    scale: f64,
    eps: f64,
    offset: f64,
}

impl SineCode {
    const PUBLISHED: Self = Self { temperature: 10_000.0, scale: TAU, eps: 1e-6, offset: 0.0 };

    pub(crate) fn of(config: &VisionConfig) -> Self {
        let VisionConfig {
            pe_temperature: temperature,
            pe_scale: scale,
            pe_eps: eps,
            pe_offset: offset,
            ..
        } = *config;
        Self { temperature, scale, eps, offset }
    }

    /// `[height, width, channels]`.
    pub(crate) fn grid(
        &self,
        height: usize,
        width: usize,
        channels: usize,
        device: &Device,
    ) -> Tensor<3> {
        let half = channels / 2;
        let along = |n: usize| -> Vec<f32> {
            // Cells are counted from 1, like the cumulative sums of the original.
            let place = |index: usize| {
                (index as f64 + 1.0 + self.offset) / (n as f64 + self.eps) * self.scale
            };
            (0..n).flat_map(|index| waves(place(index), half, self.temperature)).collect()
        };
        let (rows, columns) = (along(height), along(width));
        let mut values = Vec::with_capacity(height * width * 2 * half);
        for row in rows.chunks_exact(half) {
            for column in columns.chunks_exact(half) {
                values.extend_from_slice(row);
                values.extend_from_slice(column);
            }
        }
        Tensor::from_data(TensorData::new(values, [height, width, 2 * half]), device)
    }
}

/// The code of every cell of a map, `[height, width, channels]`: the first half of the channels
/// encodes the row, the second the column.
///
/// `v = (index + 1) / (n + 1e-6) · 2π`; channel `k` of a half is `sin` (even `k`) or `cos` (odd
/// `k`) of `v / 10000^(2⌊k/2⌋ / half)`.
///
/// # Example
///
/// ```
/// use burn::tensor::Device;
/// let code = tp_vision::sine_code_of_grid(32, 32, 256, &Device::flex());
/// let first = code.slice([0..1, 0..1, 0..1]).into_scalar::<f32>();
/// assert!((first - 0.195090).abs() < 1e-6); // sin(2π / 32)
/// ```
#[must_use]
pub fn sine_code_of_grid(
    height: usize,
    width: usize,
    channels: usize,
    device: &Device,
) -> Tensor<3> {
    SineCode::PUBLISHED.grid(height, width, channels, device)
}

/// `[…, 4]` boxes (cx, cy, w, h) in the model's unit square → `[…, 4 · num_feats]`, in the order
/// cy, cx, w, h.
///
/// A coordinate `v` is used unchanged (unlike the index of a cell), but clamped `1e-5` away from 0
/// and 1, like the base model's inverse sigmoid. No gradient flows to the boxes, which are inputs.
#[must_use]
pub fn sine_code_of_box<const D: usize>(boxes: Tensor<D>, num_feats: usize) -> Tensor<D> {
    let device = boxes.device();
    let mut dims = boxes.dims();
    let values: Vec<f32> = boxes.into_data().iter::<f32>().collect();
    let inside = |v: f32| {
        let v = f64::from(v).clamp(0.0, 1.0);
        let (low, high) = (v.max(1e-5), (1.0 - v).max(1e-5));
        low / (low + high)
    };
    let codes: Vec<f32> = values
        .chunks_exact(4)
        .flat_map(|of| [of[1], of[0], of[2], of[3]])
        .flat_map(|v| waves(inside(v) * TAU, num_feats, SineCode::PUBLISHED.temperature))
        .collect();
    dims[D - 1] = 4 * num_feats;
    Tensor::from_data(TensorData::new(codes, dims), &device)
}

/// Interleaved sines and cosines of `v` with decreasing frequency.
fn waves(v: f64, n: usize, temperature: f64) -> impl Iterator<Item = f32> {
    (0..n).map(move |k| {
        let angle = v / temperature.powf((2 * (k / 2)) as f64 / n as f64);
        (if k % 2 == 0 { angle.sin() } else { angle.cos() }) as f32
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_starts_with(code: &[f32], expected: &[f32]) {
        for (actual, expected) in code.iter().zip(expected) {
            // The epsilon in the denominator shifts the angle by up to 2π · 1e-6.
            assert!((actual - expected).abs() < 7e-6, "{actual} differs from {expected}");
        }
    }

    #[test]
    fn code_of_the_first_cell_counts_from_one() {
        // sin and cos of 2π/32, then of 2π/32 / 10000^(2/128).
        let code: Vec<f32> =
            sine_code_of_grid(32, 32, 256, &Device::flex()).into_data().iter::<f32>().collect();
        assert_starts_with(&code, &[0.195_090, 0.980_785, 0.169_214, 0.985_579]);
    }

    #[test]
    fn rows_come_before_columns() {
        let code: Vec<f32> =
            sine_code_of_grid(2, 4, 4, &Device::flex()).into_data().iter::<f32>().collect();
        // Cell (0, 1): row 1 of 2 is sin π, cos π; column 2 of 4 is sin π, cos π. Cell (0, 0):
        // column 1 of 4 is sin π/2.
        assert_starts_with(&code, &[0.0, -1.0, 1.0, 0.0, 0.0, -1.0, 0.0, -1.0]);
    }

    #[test]
    fn code_of_a_half_is_the_published_one() {
        let boxes = Tensor::<2>::from_data([[0.2, 0.5, 0.1, 0.1]], &Device::flex());
        let code: Vec<f32> = sine_code_of_box(boxes, 128).into_data().iter::<f32>().collect();
        assert_eq!(code.len(), 512);
        assert_starts_with(&code, &[0.0, -1.0, 0.408_751, -0.912_646]); // cy = 0.5 comes first
        assert_starts_with(&code[126..], &[0.000_363, 1.0]);
    }

    #[test]
    fn swapped_x_and_y_is_another_point() {
        let code = |x: f32, y: f32| {
            sine_code_of_box(Tensor::<2>::from_data([[x, y, 0.01, 0.01]], &Device::flex()), 8)
        };
        assert_ne!(code(0.2, 0.7).into_data(), code(0.7, 0.2).into_data());
    }

    #[test]
    fn box_beyond_the_square_is_the_box_at_its_edge() {
        let code = |x: f32| {
            sine_code_of_box(Tensor::<2>::from_data([[x, 0.5, 0.0, 1.0]], &Device::flex()), 8)
                .into_data()
        };
        assert_eq!(code(-3.0), code(0.0));
    }
}
