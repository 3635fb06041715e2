//! Normalization on the CPU: a few passes over a row while it is in the first-level cache, with a
//! task per block of rows.

use burn::backend::{TensorMetadata, flex::Flex, flex::FlexTensor};

use super::{NormalizationOps, reference};
use crate::flex_buffer::{all_f32, floats, map_pieces, map_pieces_with, piece_of, tensor_of};
use crate::simd::{Kernel, dispatch};
use crate::vector_math::{centered_dot, dot, exp_in_place, maximum, mul_add, sum, sum_of_squares};

/// Approximate number of elements per task: 64 KiB.
const PIECE: usize = 16 * 1024;

/// The width of a row, and the number of elements per task, in whole rows. They depend on the shape
/// only, and so does every sum over rows.
fn row_and_piece(x: &FlexTensor) -> (usize, usize) {
    let shape = x.shape();
    let width = shape[shape.num_dims() - 1].max(1);
    (width, width * (PIECE / width).max(1))
}

impl NormalizationOps for Flex {
    fn fused_softmax(x: FlexTensor) -> FlexTensor {
        if !all_f32(&[&x]) {
            return reference::softmax::<Self>(x);
        }
        let (width, piece) = row_and_piece(&x);
        map_pieces(x, piece, |_, rows| dispatch(Softmax { rows, width }))
    }

    fn fused_softmax_backward(y: FlexTensor, dy: FlexTensor) -> FlexTensor {
        if !all_f32(&[&y, &dy]) {
            return reference::softmax_backward::<Self>(y, dy);
        }
        let (width, piece) = row_and_piece(&y);
        let y = y.to_contiguous();
        let y = floats(&y);
        map_pieces(dy, piece, |i, dy| {
            dispatch(SoftmaxBackward { y: piece_of(y, i, piece), dy, width })
        })
    }

    fn fused_layer_norm(
        x: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        eps: f64,
    ) -> FlexTensor {
        if !all_f32(&[&x, &gamma, &beta]) {
            return reference::layer_norm::<Self>(x, gamma, beta, eps);
        }
        let (_, piece) = row_and_piece(&x);
        let (gamma, beta) = (gamma.to_contiguous(), beta.to_contiguous());
        let (gamma, beta) = (floats(&gamma), floats(&beta));
        map_pieces(x, piece, |_, rows| {
            dispatch(Normalize::<true> { rows, gamma, beta, eps: eps as f32 })
        })
    }

    fn fused_layer_norm_backward(
        x: FlexTensor,
        gamma: FlexTensor,
        dy: FlexTensor,
        eps: f64,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        if !all_f32(&[&x, &gamma, &dy]) {
            return reference::layer_norm_backward::<Self>(x, gamma, dy, eps);
        }
        normalize_backward::<true>(x, gamma, dy, eps)
    }

    fn fused_rms_norm(x: FlexTensor, gamma: FlexTensor, eps: f64) -> FlexTensor {
        if !all_f32(&[&x, &gamma]) {
            return reference::rms_norm::<Self>(x, gamma, eps);
        }
        let (_, piece) = row_and_piece(&x);
        let gamma = gamma.to_contiguous();
        let gamma = floats(&gamma);
        let beta = vec![0.0; gamma.len()];
        map_pieces(x, piece, |_, rows| {
            dispatch(Normalize::<false> { rows, gamma, beta: &beta, eps: eps as f32 })
        })
    }

    fn fused_rms_norm_backward(
        x: FlexTensor,
        gamma: FlexTensor,
        dy: FlexTensor,
        eps: f64,
    ) -> (FlexTensor, FlexTensor) {
        if !all_f32(&[&x, &gamma, &dy]) {
            return reference::rms_norm_backward::<Self>(x, gamma, dy, eps);
        }
        let (dx, dgamma, _) = normalize_backward::<false>(x, gamma, dy, eps);
        (dx, dgamma)
    }
}

/// Gradients with respect to `x`, `gamma` and `beta`.
fn normalize_backward<const CENTER: bool>(
    x: FlexTensor,
    gamma: FlexTensor,
    dy: FlexTensor,
    eps: f64,
) -> (FlexTensor, FlexTensor, FlexTensor) {
    let (width, piece) = row_and_piece(&x);
    let (x, gamma) = (x.to_contiguous(), gamma.to_contiguous());
    let (x, gamma) = (floats(&x), floats(&gamma));
    let width = width.min(gamma.len());
    // One pair of partial sums per piece, summed in the order of the pieces.
    let mut partial = vec![0.0; x.len().div_ceil(piece) * 2 * width];
    let dx = map_pieces_with(dy, piece, &mut partial, 2 * width, |i, dy, sums| {
        let (dgamma, dbeta) = sums.split_at_mut(width);
        let x = piece_of(x, i, piece);
        dispatch(NormalizeBackward::<CENTER> { x, gamma, dy, dgamma, dbeta, eps: eps as f32 });
    });
    let mut total = vec![0.0; 2 * width];
    for sums in partial.chunks_exact((2 * width).max(1)) {
        total.iter_mut().zip(sums).for_each(|(t, s)| *t += s);
    }
    let dbeta = total.split_off(width);
    (dx, tensor_of(total, [width]), tensor_of(dbeta, [width]))
}

struct Softmax<'a> {
    rows: &'a mut [f32],
    width: usize,
}

impl Kernel for Softmax<'_> {
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for row in self.rows.chunks_exact_mut(self.width) {
            let total = exp_in_place::<FMA>(row, maximum(row));
            let scale = total.recip();
            row.iter_mut().for_each(|x| *x *= scale);
        }
    }
}

struct SoftmaxBackward<'a> {
    y: &'a [f32],
    dy: &'a mut [f32],
    width: usize,
}

impl Kernel for SoftmaxBackward<'_> {
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for (y, dy) in self.y.chunks_exact(self.width).zip(self.dy.chunks_exact_mut(self.width)) {
            let shared = dot::<FMA>(y, dy);
            for (dy, &y) in dy.iter_mut().zip(y) {
                *dy = y * (*dy - shared);
            }
        }
    }
}

/// The mean (0 without `CENTER`) and the inverse root mean square around it.
#[inline(always)]
fn moments<const CENTER: bool, const FMA: bool>(row: &[f32], eps: f32) -> (f32, f32) {
    let count = row.len() as f32;
    let mean = if CENTER { sum(row) / count } else { 0.0 };
    (mean, (sum_of_squares::<FMA>(row, mean) / count + eps).sqrt().recip())
}

/// Layer norm with `CENTER`, RMS norm without.
struct Normalize<'a, const CENTER: bool> {
    rows: &'a mut [f32],
    gamma: &'a [f32],
    beta: &'a [f32],
    eps: f32,
}

impl<const CENTER: bool> Kernel for Normalize<'_, CENTER> {
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for row in self.rows.chunks_exact_mut(self.gamma.len()) {
            let (mean, scale) = moments::<CENTER, FMA>(row, self.eps);
            for ((x, &gamma), &beta) in row.iter_mut().zip(self.gamma).zip(self.beta) {
                *x = mul_add::<FMA>((*x - mean) * scale, gamma, beta);
            }
        }
    }
}

/// Replaces `dy` by `dx` and adds to `dgamma` and `dbeta`.
///
/// With `n = (x - mean) r` and `d = dy γ`: `dx = r (d - mean(d) - n mean(d n))`; without `CENTER`
/// the middle term is absent.
struct NormalizeBackward<'a, const CENTER: bool> {
    x: &'a [f32],
    gamma: &'a [f32],
    dy: &'a mut [f32],
    dgamma: &'a mut [f32],
    dbeta: &'a mut [f32],
    eps: f32,
}

impl<const CENTER: bool> Kernel for NormalizeBackward<'_, CENTER> {
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let width = self.gamma.len();
        let count = width as f32;
        for (x, dy) in self.x.chunks_exact(width).zip(self.dy.chunks_exact_mut(width)) {
            let (mean, scale) = moments::<CENTER, FMA>(x, self.eps);
            let columns = self.dgamma.iter_mut().zip(self.dbeta.iter_mut()).zip(self.gamma);
            for (((dgamma, dbeta), &gamma), (dy, &x)) in columns.zip(dy.iter_mut().zip(x)) {
                *dgamma = mul_add::<FMA>(*dy * scale, x - mean, *dgamma);
                *dbeta += *dy;
                *dy *= gamma;
            }
            let middle = if CENTER { sum(dy) / count } else { 0.0 };
            let slope = centered_dot::<FMA>(x, mean, dy) * scale * scale / count;
            for (dy, &x) in dy.iter_mut().zip(x) {
                *dy = scale * mul_add::<FMA>(x - mean, -slope, *dy - middle);
            }
        }
    }
}
