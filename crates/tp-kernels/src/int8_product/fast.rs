//! The int8 product on the CPU: for few rows the bytes are converted while they are read, for many
//! rows a tile is unpacked first.

use burn::backend::{TensorMetadata, flex::Flex, flex::FlexTensor};
use burn::tensor::DType;
use rayon::prelude::*;

use super::{Int8ProductOps, reference};
use crate::flex_buffer::{all_f32, floats, tensor_of};
use crate::matrix::{matrix, matrix_mut, multiply};
use crate::simd::{Kernel, dispatch};
use crate::vector_math::mul_add;

/// Up to this number of rows, the product is bound by reading the bytes.
const FEW_ROWS: usize = 16;
/// Approximate number of matrix bytes per task.
const STRETCH: usize = 128 * 1024;

impl Int8ProductOps for Flex {
    fn fused_int8_product(x: FlexTensor, steps: FlexTensor, scales: FlexTensor) -> FlexTensor {
        let (rows, width, out) = (x.shape()[0], x.shape()[1], scales.shape()[0]);
        if !all_f32(&[&x, &scales]) || steps.dtype() != DType::I8 || rows * width * out == 0 {
            return reference::int8_product::<Self>(x, steps, scales);
        }
        let (x, steps, scales) = (x.to_contiguous(), steps.to_contiguous(), scales.to_contiguous());
        let (x, scales) = (floats(&x), floats(&scales));
        let steps = steps.as_slice::<i8>().expect("a contiguous tensor of bytes");
        let outputs = (STRETCH / width).max(1);
        let part = |(steps, scales): (&[i8], &[f32])| {
            let mut y = vec![0.0; scales.len() * rows]; // [output, row]
            if rows <= FEW_ROWS {
                dispatch(FewRows { x, steps, scales, width, y: &mut y });
            } else {
                many_rows(x, steps, scales, width, &mut y);
            }
            y
        };
        let parts: Vec<Vec<f32>> =
            steps.par_chunks(outputs * width).zip(scales.par_chunks(outputs)).map(part).collect();
        let mut y = vec![0.0; rows * out];
        y.par_chunks_mut(out).enumerate().for_each(|(row, y)| {
            let column = parts.iter().flat_map(|part| part.chunks_exact(rows));
            y.iter_mut().zip(column).for_each(|(y, of_rows)| *y = of_rows[row]);
        });
        tensor_of(y, [rows, out])
    }
}

struct FewRows<'a> {
    x: &'a [f32],
    steps: &'a [i8],
    scales: &'a [f32],
    width: usize,
    y: &'a mut [f32],
}

impl Kernel for FewRows<'_> {
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Self { x, steps, scales, width, y } = self;
        let rows = x.len() / width;
        for ((steps, scale), y) in
            steps.chunks_exact(width).zip(scales).zip(y.chunks_exact_mut(rows))
        {
            for (x, y) in x.chunks_exact(width).zip(y) {
                *y = scale * dot_with_steps::<FMA>(x, steps);
            }
        }
    }
}

/// `Σ x · step`, always in the same order.
#[inline(always)]
fn dot_with_steps<const FMA: bool>(x: &[f32], steps: &[i8]) -> f32 {
    const LANES: usize = 32;
    let mut lanes = [0.0_f32; LANES];
    let ((x_blocks, x_rest), (blocks, rest)) = (x.as_chunks::<LANES>(), steps.as_chunks::<LANES>());
    for (x, steps) in x_blocks.iter().zip(blocks) {
        for i in 0..LANES {
            lanes[i] = mul_add::<FMA>(x[i], f32::from(steps[i]), lanes[i]);
        }
    }
    let mut sum = 0.0;
    for lane in lanes {
        sum += lane;
    }
    x_rest.iter().zip(rest).fold(sum, |sum, (x, &step)| sum + x * f32::from(step))
}

/// Unpacks the weights of a task's outputs, and multiplies them as an ordinary matrix.
fn many_rows(x: &[f32], steps: &[i8], scales: &[f32], width: usize, y: &mut [f32]) {
    let (rows, outputs) = (x.len() / width, scales.len());
    let mut unpacked = vec![0.0; steps.len()];
    for ((unpacked, steps), scale) in
        unpacked.chunks_exact_mut(width).zip(steps.chunks_exact(width)).zip(scales)
    {
        unpacked
            .iter_mut()
            .zip(steps)
            .for_each(|(unpacked, &step)| *unpacked = scale * f32::from(step));
    }
    let out = matrix_mut(y, [outputs, rows], rows);
    multiply(
        out,
        matrix(&unpacked, [outputs, width], width),
        matrix(x, [rows, width], width).transpose(),
        false,
    );
}
