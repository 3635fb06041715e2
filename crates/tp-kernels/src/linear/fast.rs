//! Products on the CPU. A product with few rows is bound by reading the matrix, so every task reads
//! a contiguous range of it once, and multiplies all rows while it is in the cache. Other products
//! use `faer`.

use burn::backend::{TensorMetadata, flex::Flex, flex::FlexTensor, ops::FloatTensorOps};
use faer::MatRef;
use rayon::prelude::*;

use super::ProductOps;
use crate::activation::fast::Relu6;
use crate::flex_buffer::{all_f32, floats, tensor_of};
use crate::matrix::{matrix, matrix_mut, multiply_in_tasks};
use crate::ops::ActivationOps;
use crate::packed_rows::{Packed, RowsTimes};
use crate::simd::{Kernel, dispatch};
use crate::vector_math::{dot, mul_add};

/// Up to this number of rows, a product is bound by reading the matrix.
const FEW_ROWS: usize = 3;
/// Rows of the matrix that are multiplied together, in a single pass over the result.
const TOGETHER: usize = 8;
/// Columns whose results stay in the first-level cache.
const TILE: usize = 512;
/// The minimum number of matrix rows per task, so that adding its result is cheap compared with
/// reading.
const ROWS: usize = 64;
/// Approximate number of matrix elements per task: 1 MiB. It depends on the shapes only, and so
/// does the order of every sum.
const STRETCH: usize = 256 * 1024;

/// Approximate number of elements of a rectified product that a task computes at once: 256 KiB.
const BLOCK: usize = 64 * 1024;
/// The minimum number of pieces of a rectified product, if it has enough rows.
const PIECES: usize = 8;

impl ProductOps for Flex {
    fn matrix_product(a: FlexTensor, b: FlexTensor) -> FlexTensor {
        if !all_f32(&[&a, &b]) {
            return Self::float_matmul(a, b);
        }
        product(a, b, Behind::Nothing)
    }

    fn affine_product(x: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> FlexTensor {
        let bias = if bias.is_contiguous() { bias } else { bias.to_contiguous() };
        if !all_f32(&[&x, &weight, &bias]) {
            let shape = [1, bias.shape()[0]].into();
            return Self::float_add(Self::float_matmul(x, weight), bias.reshape(shape));
        }
        product(x, weight, Behind::Bias(floats(&bias)))
    }

    fn affine_relu6_product(x: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> FlexTensor {
        let bias = bias.to_contiguous();
        if !all_f32(&[&x, &weight, &bias]) {
            return Self::fused_relu6(Self::affine_product(x, weight, bias));
        }
        product(x, weight, Behind::Relu6OfBias(floats(&bias)))
    }
}

/// What is applied to every row of a product.
#[derive(Clone, Copy)]
enum Behind<'a> {
    Nothing,
    Bias(&'a [f32]),
    Relu6OfBias(&'a [f32]),
}

impl<'a> Behind<'a> {
    fn bias(self) -> Option<&'a [f32]> {
        match self {
            Self::Nothing => None,
            Self::Bias(bias) | Self::Relu6OfBias(bias) => Some(bias),
        }
    }
}

fn product(a: FlexTensor, b: FlexTensor, behind: Behind) -> FlexTensor {
    let ([rows, inner], columns) = ([a.shape()[0], a.shape()[1]], b.shape()[1]);
    let (a, b) = (dense(a), dense(b));
    if rows <= FEW_ROWS && rows * inner * columns > 0 {
        let (x, size) = (a.to_contiguous(), [rows, inner, columns]);
        let mut y = if b.is_contiguous() {
            by_rows(floats(&x), floats(&b), size)
        } else {
            by_columns(floats(&x), floats(&b.transpose(0, 1)), size)
        };
        if let Some(bias) = behind.bias() {
            y.chunks_exact_mut(columns)
                .for_each(|y| y.iter_mut().zip(bias).for_each(|(y, bias)| *y += bias));
        }
        if let Behind::Relu6OfBias(_) = behind {
            dispatch(Relu6 { x: &mut y });
        }
        return tensor_of(y, [rows, columns]);
    }
    if let Behind::Relu6OfBias(bias) = behind
        && rows * inner * columns > 0
    {
        let (a, b) = (a.to_contiguous(), b.transpose(0, 1).to_contiguous());
        return tensor_of(rectified(floats(&a), floats(&b), bias, inner), [rows, columns]);
    }
    let mut y = match behind.bias() {
        Some(bias) => bias.repeat(rows),
        None => vec![0.0; rows * columns],
    };
    multiply_in_tasks(
        matrix_mut(&mut y, [rows, columns], columns),
        view(&a),
        view(&b),
        behind.bias().is_some(),
    );
    if let Behind::Relu6OfBias(_) = behind {
        dispatch(Relu6 { x: &mut y });
    }
    tensor_of(y, [rows, columns])
}

/// `relu6(a · b + bias)`, with `b` in column-major order; bias and ReLU6 are applied while the sums
/// are in registers.
fn rectified(a: &[f32], columns: &[f32], bias: &[f32], inner: usize) -> Vec<f32> {
    let rows = a.len() / inner;
    let mut packed = Packed::default();
    packed.pack_transposed(columns, bias, inner, inner);
    let mut y = vec![0.0; rows * bias.len()];
    let piece = rows
        .div_ceil(PIECES)
        .clamp(FEW_ROWS, (BLOCK / bias.len()).max(FEW_ROWS))
        .next_multiple_of(8);
    y.par_chunks_mut(piece * bias.len()).zip(a.par_chunks(piece * inner)).for_each(|(y, x)| {
        RowsTimes { x, matrix: &packed, add: None, relu6: true, y, y_row: bias.len() }.run();
    });
    y
}

/// The same matrix in row-major or column-major order without gaps.
fn dense(x: FlexTensor) -> FlexTensor {
    if x.is_contiguous() || x.transpose(0, 1).is_contiguous() { x } else { x.to_contiguous() }
}

/// A view of the result of [`dense`] in its own order.
fn view(x: &FlexTensor) -> MatRef<'_, f32> {
    let [rows, columns] = [x.shape()[0], x.shape()[1]];
    if x.is_contiguous() {
        return matrix(floats(x), [rows, columns], columns);
    }
    let (from, to) = x.transpose(0, 1).layout().contiguous_offsets().expect("a dense matrix");
    matrix(&x.storage()[from..to], [columns, rows], rows).transpose()
}

/// For a row-major matrix: each task handles some rows, and the results of the tasks are summed in
/// order.
fn by_rows(x: &[f32], weight: &[f32], [rows, width, out]: [usize; 3]) -> Vec<f32> {
    let stretch = (STRETCH / out).next_multiple_of(TOGETHER).max(ROWS);
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

/// Adds `x[.., first + i] · weight[i]` over a range of rows.
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
                        add_rows::<FMA, TOGETHER>(
                            y,
                            x,
                            std::array::from_fn(|row| &weight[row * out + from..row * out + to]),
                        );
                    } else {
                        x.iter().enumerate().for_each(|(row, &x)| {
                            add_rows::<FMA, 1>(y, &[x], [&weight[row * out + from..row * out + to]])
                        });
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

/// For a column-major matrix: each task handles some columns, and each result is a dot product.
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
