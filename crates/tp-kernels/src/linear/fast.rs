//! The product of few rows with a matrix on the CPU. Its time is that of reading the matrix, so every task reads a stretch
//! of it in order, once, and all rows are multiplied while the stretch is in the cache.

use burn::backend::{TensorMetadata, flex::Flex, flex::FlexTensor, ops::FloatTensorOps};
use rayon::prelude::*;

use super::FewRowsOps;
use crate::flex_buffer::{all_f32, floats, tensor_of};
use crate::simd::{Kernel, dispatch};
use crate::vector_math::{dot, mul_add};

/// Rows of the matrix that are multiplied together: their sum is one pass over the result.
const TOGETHER: usize = 8;
/// Columns whose results stay in the first-level cache meanwhile.
const TILE: usize = 512;
/// Elements of the matrix a task, about: 1 MiB. It depends on shapes alone, and so does the order of every sum.
const STRETCH: usize = 256 * 1024;

impl FewRowsOps for Flex {
    fn product_of_few_rows(x: FlexTensor, weight: FlexTensor) -> FlexTensor {
        let (rows, width, out) = (x.shape()[0], x.shape()[1], weight.shape()[1]);
        let columns = weight.transpose(0, 1);
        if !all_f32(&[&x, &weight]) || !(weight.is_contiguous() || columns.is_contiguous()) || rows * width * out == 0 {
            return Self::float_matmul(x, weight);
        }
        let x = x.to_contiguous();
        let x = floats(&x);
        let y = if weight.is_contiguous() {
            by_rows(x, floats(&weight), [rows, width, out])
        } else {
            by_columns(x, floats(&columns), [rows, width, out])
        };
        tensor_of(y, [rows, out])
    }
}

/// The matrix lies row by row: a task takes some rows, and the tasks' results are added up in order.
fn by_rows(x: &[f32], weight: &[f32], [rows, width, out]: [usize; 3]) -> Vec<f32> {
    let stretch = (STRETCH / out).next_multiple_of(TOGETHER).max(TOGETHER);
    let part = |(index, weight): (usize, &[f32])| {
        let mut y = vec![0.0; rows * out];
        dispatch(ByRows { x, weight, first: index * stretch, width, out, y: &mut y });
        y
    };
    let parts: Vec<Vec<f32>> = weight.par_chunks(stretch * out).enumerate().map(part).collect();
    let mut parts = parts.into_iter();
    let mut sum = parts.next().expect("a matrix with elements has a stretch");
    for part in parts {
        sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
    }
    sum
}

/// Adds `x[.., first + i] · weight[i]` over the rows of a stretch.
struct ByRows<'a> {
    x: &'a [f32],
    weight: &'a [f32],
    first: usize,
    width: usize,
    out: usize,
    y: &'a mut [f32],
}

impl Kernel for ByRows<'_> {
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Self { x, weight, first, width, out, y } = self;
        for (block, weight) in weight.chunks(TOGETHER * out).enumerate() {
            let (at, n) = (first + block * TOGETHER, weight.len() / out);
            for from in (0..out).step_by(TILE) {
                let to = out.min(from + TILE);
                for (x, y) in x.chunks_exact(width).zip(y.chunks_exact_mut(out)) {
                    let (x, y) = (&x[at..at + n], &mut y[from..to]);
                    if let Ok(x) = <&[f32; TOGETHER]>::try_from(x) {
                        add_rows::<FMA, TOGETHER>(y, x, std::array::from_fn(|row| &weight[row * out + from..row * out + to]));
                    } else {
                        x.iter().enumerate().for_each(|(row, &x)| add_rows::<FMA, 1>(y, &[x], [&weight[row * out + from..row * out + to]]));
                    }
                }
            }
        }
    }
}

/// `y += Σ x[i] · rows[i]`
#[inline(always)]
fn add_rows<const FMA: bool, const N: usize>(y: &mut [f32], x: &[f32; N], rows: [&[f32]; N]) {
    let n = y.len();
    let rows = rows.map(|row| &row[..n]);
    for (column, y) in y.iter_mut().enumerate() {
        let mut sum = *y;
        for row in 0..N {
            sum = mul_add::<FMA>(x[row], rows[row][column], sum);
        }
        *y = sum;
    }
}

/// The matrix lies column by column: a task takes some columns, and a result is one dot product.
fn by_columns(x: &[f32], columns: &[f32], [rows, width, out]: [usize; 3]) -> Vec<f32> {
    let stretch = (STRETCH / width).max(1);
    let part = |columns: &[f32]| {
        let mut y = vec![0.0; columns.len() / width * rows];
        dispatch(ByColumns { x, columns, width, y: &mut y });
        y
    };
    let parts: Vec<Vec<f32>> = columns.par_chunks(stretch * width).map(part).collect();
    let mut y = vec![0.0; rows * out];
    for (at, value) in parts.iter().flatten().enumerate() {
        y[at % rows * out + at / rows] = *value;
    }
    y
}

/// `[columns, rows]` dot products.
struct ByColumns<'a> {
    x: &'a [f32],
    columns: &'a [f32],
    width: usize,
    y: &'a mut [f32],
}

impl Kernel for ByColumns<'_> {
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Self { x, columns, width, y } = self;
        for (column, y) in columns.chunks_exact(width).zip(y.chunks_exact_mut(x.len() / width)) {
            for (x, y) in x.chunks_exact(width).zip(y) {
                *y = dot::<FMA>(x, column);
            }
        }
    }
}
