//! Bilinear resizing of maps as two products with a banded matrix, for any sizes; its gradient is a
//! product, too.
//!
//! Half-pixel centers, no antialiasing, replicated edges: output `i` reads at `s = max((i + ½) ·
//! from / to − ½, 0)`, from the cells `⌊s⌋` and `min(⌊s⌋ + 1, from − 1)`.

use burn::tensor::{Device, Tensor, TensorData};

/// The two cells that output `index` depends on, and the weight of the second.
pub(crate) fn neighbours(index: usize, from: usize, to: usize) -> ([usize; 2], f32) {
    let place = ((index as f64 + 0.5) * from as f64 / to as f64 - 0.5).max(0.0);
    let first = (place as usize).min(from - 1);
    ([first, (first + 1).min(from - 1)], (place - first as f64) as f32)
}

/// Adds the weights of output `index` to a row of weights, `[from]`.
pub(crate) fn add_row(row: &mut [f32], index: usize, to: usize, weight: f32) {
    let ([first, second], share) = neighbours(index, row.len(), to);
    row[first] += weight * (1.0 - share);
    row[second] += weight * share;
}

/// `[batch, height, width, channels]` → `[batch, rows, columns, channels]`.
pub(crate) fn resized(x: Tensor<4>, [rows, columns]: [usize; 2]) -> Tensor<4> {
    let [batch, height, width, channels] = x.dims();
    let device = x.device();
    let x = matrix(height, rows, &device).matmul(x.reshape([batch, height, width * channels]));
    let x = matrix(width, columns, &device).matmul(x.reshape([batch * rows, width, channels]));
    x.reshape([batch, rows, columns, channels])
}

/// `[1, to, from]`.
fn matrix(from: usize, to: usize, device: &Device) -> Tensor<3> {
    let mut weights = vec![0.0; to * from];
    for (index, row) in weights.chunks_exact_mut(from).enumerate() {
        add_row(row, index, to, 1.0);
    }
    Tensor::from_data(TensorData::new(weights, [1, to, from]), device)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{
        Distribution, Tolerance,
        module::interpolate,
        ops::{InterpolateMode, InterpolateOptions},
    };

    use super::*;

    #[test]
    fn twice_as_large_takes_three_quarters_of_the_near_neighbour() {
        assert_eq!(neighbours(0, 4, 8), ([0, 1], 0.0)); // (0.5)/2 − ½ = −0.25, clamped
        assert_eq!(neighbours(1, 4, 8), ([0, 1], 0.25));
        assert_eq!(neighbours(2, 4, 8), ([0, 1], 0.75));
        assert_eq!(neighbours(7, 4, 8), ([3, 3], 0.25));
    }

    #[test]
    fn resizing_is_burns_interpolation() {
        let device = Device::flex();
        let x = Tensor::<4>::random([2, 8, 6, 3], Distribution::Default, &device);
        let options = InterpolateOptions::new(InterpolateMode::Bilinear).with_align_corners(false);
        for size in [[16, 12], [4, 3], [2, 5]] {
            let expected = interpolate(
                x.clone().permute([0, 3, 1, 2]),
                options.clone().with_output_size(size),
            )
            .permute([0, 2, 3, 1]);
            let actual = resized(x.clone(), size);
            actual
                .into_data()
                .assert_approx_eq::<f32>(&expected.into_data(), Tolerance::absolute(1e-5));
        }
    }
}
