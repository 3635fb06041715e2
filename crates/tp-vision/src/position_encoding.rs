//! Sine codes of cells and of boxes.
//!
//! Sources: Mask2Former's sine position code; OMG-LLaVA's box code.

use burn::tensor::{Device, Tensor, TensorData};

const TEMPERATURE: f64 = 10_000.0;

/// `[height, width, channels]`: half of the channels say the row, half the column.
///
/// `v = (index + 1) / (n + 1e-6) · 2π`, channel `k` of a half is `sin` (even) or `cos` (odd) of
/// `v / 10000^(2⌊k/2⌋ / half)`.
#[must_use]
pub fn sine_code_of_grid(height: usize, width: usize, channels: usize, device: &Device) -> Tensor<3> {
    let half = channels / 2;
    let along = |n: usize| -> Vec<Vec<f32>> {
        (0..n).map(|index| code((index as f64 + 1.0) / (n as f64 + 1e-6) * std::f64::consts::TAU, half)).collect()
    };
    let (rows, columns) = (along(height), along(width));
    let values: Vec<f32> =
        rows.iter().flat_map(|row| columns.iter().flat_map(move |column| row.iter().chain(column).copied())).collect();
    Tensor::from_data(TensorData::new(values, [height, width, 2 * half]), device)
}

/// `[…, 4]` boxes (cx, cy, w, h) in the model's unit square → `[…, 4 · num_feats]`, in the order cy, cx, w, h.
///
/// No gradient flows to the boxes: they are given.
#[must_use]
pub fn sine_code_of_box<const D: usize>(boxes: Tensor<D>, num_feats: usize) -> Tensor<D> {
    let device = boxes.device();
    let mut dims = boxes.dims();
    let values: Vec<f32> = boxes.into_data().iter::<f32>().collect();
    let codes: Vec<f32> = values
        .chunks_exact(4)
        .flat_map(|of| [of[1], of[0], of[2], of[3]])
        .flat_map(|v| code(f64::from(v.clamp(1e-5, 1.0 - 1e-5)) * std::f64::consts::TAU, num_feats))
        .collect();
    dims[D - 1] = 4 * num_feats;
    Tensor::from_data(TensorData::new(codes, dims), &device)
}

fn code(v: f64, n: usize) -> Vec<f32> {
    (0..n)
        .map(|k| {
            let angle = v / TEMPERATURE.powf((2 * (k / 2)) as f64 / n as f64);
            (if k % 2 == 0 { angle.sin() } else { angle.cos() }) as f32
        })
        .collect()
}
