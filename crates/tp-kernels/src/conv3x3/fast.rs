//! The convolution on the CPU, as matrix products without an im2col copy.
//!
//! A task copies a band of rows with zero padding into a buffer `[row][column][channel]`. There the
//! three neighbors of a pixel in one row are `3 · channels` consecutive numbers, and those of the
//! next pixel begin `channels` numbers later, which is a matrix with overlapping rows. One product
//! per filter row computes the band; the two columns at which its rows wrap around are discarded.

use burn::backend::{TensorMetadata, flex::Flex, flex::FlexTensor};
use faer::MatRef;
use rayon::prelude::*;

use super::{Conv3x3Ops, reference};
use crate::flex_buffer::{all_f32, floats, tensor_of};
use crate::matrix::{matrix, matrix_mut, multiply};

/// Output rows per task.
const BAND: usize = 8;
/// Output rows per task for the gradient of the filter, of which every task has a copy.
const TALL_BAND: usize = 32;

/// Sizes of one call.
#[derive(Clone, Copy)]
struct Geometry {
    height: usize,
    width: usize,
    from: usize,
    to: usize,
}

impl Geometry {
    /// The number of columns of a row in a buffer.
    fn columns(&self) -> usize {
        self.width + 2
    }

    /// The number of pixels of `rows` buffer rows that are followed by three neighbors.
    fn pixels(&self, rows: usize) -> usize {
        rows * self.columns() - 2
    }

    /// Copies the rows `first..first + rows` of an image of `channels` channels, where row -1 is
    /// the zero border, into a buffer with `left` zeros before and `2 - left` after each.
    fn padded(
        &self,
        image: &[f32],
        channels: usize,
        first: isize,
        rows: usize,
        left: usize,
    ) -> Vec<f32> {
        let mut buffer = vec![0.0; rows * self.columns() * channels];
        for (at, line) in buffer.chunks_exact_mut(self.columns() * channels).enumerate() {
            let row = first + at as isize;
            if (0..self.height as isize).contains(&row) {
                let len = self.width * channels;
                line[left * channels..][..len].copy_from_slice(&image[row as usize * len..][..len]);
            }
        }
        buffer
    }

    /// For every pixel of a buffer, its three neighbors in row `u`, `[pixel, 3 · from]`.
    fn neighbours<'a>(&self, buffer: &'a [f32], u: usize, rows: usize) -> MatRef<'a, f32> {
        matrix(
            &buffer[u * self.columns() * self.from..],
            [self.pixels(rows), 3 * self.from],
            self.from,
        )
    }
}

/// `[to, from, 3, 3]` as `[u][v · from][to]`.
fn packed(weight: &[f32], size: Geometry) -> Vec<f32> {
    let mut packed = vec![0.0; weight.len()];
    for (index, &w) in weight.iter().enumerate() {
        packed[packed_index(index, size)] = w;
    }
    packed
}

/// The index of a filter element after packing.
fn packed_index(index: usize, Geometry { from, to, .. }: Geometry) -> usize {
    let (tap, channels) = (index % 9, index / 9);
    (tap * from + channels % from) * to + channels / from
}

impl Conv3x3Ops for Flex {
    fn fused_conv3x3(x: FlexTensor, weight: FlexTensor) -> FlexTensor {
        let (shape, to) = (x.shape(), weight.shape()[0]);
        if !all_f32(&[&x, &weight]) || shape.num_elements() * to == 0 {
            return reference::conv3x3::<Self>(x, weight);
        }
        let size = Geometry { height: shape[1], width: shape[2], from: shape[3], to };
        let (x, weight) = (x.to_contiguous(), weight.to_contiguous());
        let (x, weight) = (floats(&x), packed(floats(&weight), size));
        let mut out = vec![0.0; shape[0] * size.height * size.width * to];
        let images = out
            .chunks_mut(size.height * size.width * to)
            .zip(x.chunks_exact(size.height * size.width * size.from));
        let bands: Vec<_> = images
            .flat_map(|(out, image)| {
                out.chunks_mut(BAND * size.width * to).enumerate().map(move |band| (image, band))
            })
            .collect();
        bands.into_par_iter().for_each(|(image, (band, out))| {
            let rows = out.len() / (size.width * to);
            let buffer = size.padded(image, size.from, (band * BAND) as isize - 1, rows + 2, 1);
            let mut wide = vec![0.0; rows * size.columns() * to];
            for (u, weight) in weight.chunks_exact(3 * size.from * to).enumerate() {
                let made = matrix_mut(&mut wide, [size.pixels(rows), to], to);
                multiply(
                    made,
                    size.neighbours(&buffer, u, rows),
                    matrix(weight, [3 * size.from, to], to),
                    u > 0,
                );
            }
            for (out, wide) in
                out.chunks_exact_mut(size.width * to).zip(wide.chunks_exact(size.columns() * to))
            {
                out.copy_from_slice(&wide[..out.len()]);
            }
        });
        tensor_of(out, [shape[0], size.height, size.width, to])
    }

    fn fused_conv3x3_weight_backward(
        x: FlexTensor,
        weight: FlexTensor,
        dy: FlexTensor,
    ) -> FlexTensor {
        let (shape, to) = (x.shape(), weight.shape()[0]);
        if !all_f32(&[&x, &weight, &dy]) || shape.num_elements() * to == 0 {
            return reference::conv3x3_weight_backward::<Self>(x, weight, dy);
        }
        let size = Geometry { height: shape[1], width: shape[2], from: shape[3], to };
        let (x, dy) = (x.to_contiguous(), dy.to_contiguous());
        let (x, dy) = (floats(&x), floats(&dy));
        let bands = size.height.div_ceil(TALL_BAND);
        // One filter row each, band by band, summed in that order.
        let of_task = |task: usize| {
            let (u, band, image) = (task % 3, task / 3 % bands, task / 3 / bands);
            let of_image = |all: &'_ [f32], channels: usize| {
                image * size.height * size.width * channels..all.len()
            };
            let (first, rows) = (band * TALL_BAND, TALL_BAND.min(size.height - band * TALL_BAND));
            let buffer = size.padded(
                &x[of_image(x, size.from)],
                size.from,
                (first + u) as isize - 1,
                rows,
                1,
            );
            let wide = size.padded(&dy[of_image(dy, to)], to, first as isize, rows, 0);
            let mut sum = vec![0.0; 3 * size.from * to];
            let made = matrix_mut(&mut sum, [3 * size.from, to], to);
            multiply(
                made,
                size.neighbours(&buffer, 0, rows).transpose(),
                matrix(&wide, [size.pixels(rows), to], to),
                false,
            );
            sum
        };
        let parts: Vec<Vec<f32>> = (0..shape[0] * bands * 3).into_par_iter().map(of_task).collect();
        let mut sums = vec![0.0; 9 * size.from * to];
        for parts in parts.chunks_exact(3) {
            sums.iter_mut().zip(parts.iter().flatten()).for_each(|(sum, part)| *sum += part);
        }
        let dweight = (0..sums.len()).map(|index| sums[packed_index(index, size)]).collect();
        tensor_of(dweight, weight.shape())
    }
}
