//! The product with blocks on the CPU: with few rows, numbers are widened in registers while the
//! blocks are read; with many, a stretch of the matrix is widened once and multiplied as any.

use std::{cell::RefCell, ops::Range, sync::Arc};

use burn::backend::{TensorMetadata, flex::Flex, flex::FlexTensor};
use faer::{MatMut, MatRef};
use rayon::prelude::*;

use super::{
    BlockFormat, BlockProductOps, BlockRows, Blocks, QuantizedFormat,
    format::{Bf16, F16, F32, Format, PART, Q4_0, Q4_1, Q4K, Q5_0, Q5_1, Q5K, Q6K, Q8_0},
    reference,
};
use crate::flex_buffer::{all_f32, floats, tensor_of};
use crate::matrix::{matrix, matrix_mut, multiply, multiply_in_tasks};
use crate::simd::{LANES, Vector, WideKernel, dispatch_wide};

/// Up to so many rows, numbers are widened once for each eight of them.
const FEW_ROWS: usize = 16;
/// Bytes of the matrix a task, about, with few rows.
const STRETCH: usize = 128 * 1024;
/// Numbers of the matrix a task, about, with many: 1 MiB of them, widened.
const WIDENED: usize = 256 * 1024;
/// Numbers that are widened at once on the way back, by all threads: 4 MiB of them.
const WIDENED_BACK: usize = 1024 * 1024;

impl BlockProductOps for Flex {
    fn fused_block_product(x: FlexTensor, blocks: Arc<Blocks>) -> FlexTensor {
        let (rows, (width, outputs)) = (x.shape()[0], (blocks.width, blocks.outputs));
        if !all_f32(&[&x]) || rows * width * outputs == 0 {
            return reference::block_product::<Self>(x, &blocks);
        }
        let x = x.to_contiguous();
        let y = if rows <= FEW_ROWS {
            blocks.times_few(floats(&x), rows)
        } else {
            blocks.times_many(floats(&x), rows)
        };
        tensor_of(y, [rows, outputs])
    }

    fn fused_block_product_backward(dy: FlexTensor, blocks: Arc<Blocks>) -> FlexTensor {
        let (rows, (width, outputs)) = (dy.shape()[0], (blocks.width, blocks.outputs));
        if !all_f32(&[&dy]) || rows * width * outputs == 0 {
            return reference::block_product_backward::<Self>(dy, &blocks);
        }
        let dy = dy.to_contiguous();
        tensor_of(blocks.back(floats(&dy), rows), [rows, width])
    }
}

/// Rows that are stored alike.
#[derive(Clone, Copy)]
struct Stretch<'a> {
    format: BlockFormat,
    bytes: &'a [u8],
    rows: usize,
}

impl Blocks {
    /// All numbers, `[out, in]`.
    pub(super) fn widened(&self) -> Vec<f32> {
        let mut numbers = vec![0.0; self.outputs * self.width];
        self.widen_in_tasks(0, &mut numbers);
        numbers
    }

    /// The numbers of the rows from `first` on, as many as there is room for, by all threads.
    fn widen_in_tasks(&self, first: usize, numbers: &mut [f32]) {
        let rows = (WIDENED / self.width.max(1)).max(1);
        let task = (rows * self.width).max(1);
        numbers.par_chunks_mut(task).enumerate().for_each(|(index, numbers)| {
            let first = first + index * rows;
            self.widen_rows(first..first + numbers.len() / self.width, numbers);
        });
    }

    /// All numbers in another format; rows must be whole blocks of it.
    pub(super) fn quantized(&self, format: QuantizedFormat) -> Vec<u8> {
        let row_bytes =
            BlockFormat::from(format).row_bytes(self.width).expect("rows are whole blocks");
        let mut bytes = vec![0; self.outputs * row_bytes];
        let rows = (STRETCH / self.width).max(1);
        bytes.par_chunks_mut(rows * row_bytes).enumerate().for_each(|(index, bytes)| {
            let (first, n) = (index * rows, bytes.len() / row_bytes);
            let mut numbers = vec![0.0; n * self.width];
            self.widen_rows(first..first + n, &mut numbers);
            bytes.copy_from_slice(&format.blocks(&numbers));
        });
        bytes
    }

    /// The numbers of some rows.
    pub(super) fn widen_rows(&self, rows: Range<usize>, mut numbers: &mut [f32]) {
        for stretch in self.stretches(rows, usize::MAX) {
            let (part, rest) = numbers.split_at_mut(stretch.rows * self.width);
            dispatch_wide(Widen { stretch, width: self.width, numbers: part });
            numbers = rest;
        }
    }

    /// Some rows in stretches of at most `longest` rows.
    fn stretches(&self, rows: Range<usize>, longest: usize) -> Vec<Stretch<'_>> {
        let mut stretches = Vec::new();
        let (mut first, mut at) = (0, 0);
        for &BlockRows { format, rows: n_rows } in &self.bands {
            let row_bytes = format.row_bytes(self.width).expect("the matrix was checked");
            let (from, to) = (rows.start.max(first), rows.end.min(first + n_rows));
            let mut row = from;
            while row < to {
                let n = longest.min(to - row);
                let start = at + (row - first) * row_bytes;
                let bytes = &self.bytes[start..start + n * row_bytes];
                stretches.push(Stretch { format, bytes, rows: n });
                row += n;
            }
            (first, at) = (first + n_rows, at + n_rows * row_bytes);
        }
        assert!(rows.end <= first, "rows {rows:?} of {first}");
        stretches
    }

    /// `x`: `[rows, in]` → `[rows, out]`
    fn times_few(&self, x: &[f32], rows: usize) -> Vec<f32> {
        let padded = self.width.next_multiple_of(PART);
        let mut copy = Vec::new();
        let x = if padded == self.width {
            x
        } else {
            copy.resize(rows * padded, 0.0);
            copy.chunks_exact_mut(padded)
                .zip(x.chunks_exact(self.width))
                .for_each(|(copy, x)| copy[..self.width].copy_from_slice(x));
            &copy
        };
        let row_bytes = (self.bytes.len() / self.outputs).max(1);
        // Whole groups of rows that are multiplied together.
        let longest = (STRETCH / row_bytes).next_multiple_of(TOGETHER).max(TOGETHER);
        let part = |stretch: Stretch| {
            let mut y = vec![0.0; stretch.rows * rows]; // [output, row]
            dispatch_wide(FewRows { stretch, x, padded, width: self.width, y: &mut y });
            y
        };
        let stretches = self.stretches(0..self.outputs, longest);
        let parts: Vec<Vec<f32>> = stretches.into_par_iter().map(part).collect();
        if rows == 1 {
            return parts.concat();
        }
        let mut y = vec![0.0; rows * self.outputs];
        y.par_chunks_mut(self.outputs).enumerate().for_each(|(row, y)| {
            let column = parts.iter().flat_map(|part| part.chunks_exact(rows));
            y.iter_mut().zip(column).for_each(|(y, of_rows)| *y = of_rows[row]);
        });
        y
    }

    /// As [`times_few`](Self::times_few).
    fn times_many(&self, x: &[f32], rows: usize) -> Vec<f32> {
        let mut y = vec![0.0; rows * self.outputs];
        let out = matrix_mut(&mut y, [rows, self.outputs], self.outputs);
        self.halved(out, matrix(x, [rows, self.width], self.width), 0);
        y
    }

    /// `dy`: `[rows, out]` → `[rows, in]`. The matrix is widened a stretch at a time, whose share of
    /// the gradient is added.
    fn back(&self, dy: &[f32], rows: usize) -> Vec<f32> {
        let mut dx = vec![0.0; rows * self.width];
        let longest = (WIDENED_BACK / self.width).clamp(1, self.outputs);
        let mut numbers = vec![0.0; longest * self.width];
        for first in (0..self.outputs).step_by(longest) {
            let n = longest.min(self.outputs - first);
            let numbers = &mut numbers[..n * self.width];
            self.widen_in_tasks(first, numbers);
            multiply_in_tasks(
                matrix_mut(&mut dx, [rows, self.width], self.width),
                matrix(&dy[first..], [rows, n], self.outputs),
                matrix(numbers, [n, self.width], self.width),
                true,
            );
        }
        dx
    }

    /// The outputs from `first` on, in tasks whose numbers stay in the cache once they are widened.
    fn halved(&self, out: MatMut<'_, f32>, x: MatRef<'_, f32>, first: usize) {
        thread_local! {
            /// A task's numbers: fresh memory for each would cost a tenth of the product.
            static NUMBERS: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
        }
        let outputs = out.ncols();
        if outputs * self.width > WIDENED && outputs > LANES {
            let middle = (outputs / 2).next_multiple_of(LANES);
            let (out, other) = out.split_at_col_mut(middle);
            rayon::join(|| self.halved(out, x, first), || self.halved(other, x, first + middle));
            return;
        }
        NUMBERS.with_borrow_mut(|numbers| {
            let n = outputs * self.width;
            if numbers.len() < n {
                numbers.resize(n, 0.0);
            }
            let numbers = &mut numbers[..n];
            self.widen_rows(first..first + outputs, numbers);
            multiply(out, x, matrix(numbers, [outputs, self.width], self.width).transpose(), false);
        });
    }
}

/// How far ahead of the bytes that are multiplied others are asked for. Rows that are multiplied
/// together are streams a few hundred bytes apart, which processors do not foresee by themselves:
/// without asking, a product of one row takes nearly twice as long.
const AHEAD: usize = 4096;
/// Bytes of a line of the cache.
const LINE: usize = 64;

/// Outputs whose rows are multiplied together.
const TOGETHER: usize = 4;

/// Calls a function of a format that is known when the program is compiled.
macro_rules! with_format {
    ($format:expr, $this:ident . $call:ident :: <$vector:ident>) => {
        match $format {
            BlockFormat::F32 => $this.$call::<$vector, F32>(),
            BlockFormat::F16 => $this.$call::<$vector, F16>(),
            BlockFormat::BF16 => $this.$call::<$vector, Bf16>(),
            BlockFormat::Q8_0 => $this.$call::<$vector, Q8_0>(),
            BlockFormat::Q4_0 => $this.$call::<$vector, Q4_0>(),
            BlockFormat::Q4_1 => $this.$call::<$vector, Q4_1>(),
            BlockFormat::Q5_0 => $this.$call::<$vector, Q5_0>(),
            BlockFormat::Q5_1 => $this.$call::<$vector, Q5_1>(),
            BlockFormat::Q4K => $this.$call::<$vector, Q4K>(),
            BlockFormat::Q5K => $this.$call::<$vector, Q5K>(),
            BlockFormat::Q6K => $this.$call::<$vector, Q6K>(),
        }
    };
}

/// The numbers of a row behind its whole parts; those behind its end are zero.
#[inline(always)]
fn last_part<V: Vector, F: Format>(row: &[u8], whole: usize) -> [V; 2] {
    // Only formats without blocks have rows that end within a part.
    let mut padded = [0; 4 * PART];
    let rest = &row[whole * F::BYTES..];
    padded[..rest.len()].copy_from_slice(rest);
    F::widen(&padded[..F::BYTES], 0)
}

struct Widen<'a> {
    stretch: Stretch<'a>,
    width: usize,
    numbers: &'a mut [f32],
}

impl WideKernel for Widen<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        with_format!(self.stretch.format, self.of::<V>)
    }
}

impl Widen<'_> {
    #[inline(always)]
    fn of<V: Vector, F: Format>(self) {
        let row_bytes = self.stretch.bytes.len() / self.stretch.rows;
        let whole = self.width / PART;
        for (row, numbers) in self
            .stretch
            .bytes
            .chunks_exact(row_bytes)
            .zip(self.numbers.chunks_exact_mut(self.width))
        {
            let (parts, rest) = numbers.as_chunks_mut::<PART>();
            for (blocks, block) in parts.chunks_mut(F::PARTS).zip(row.chunks_exact(F::BYTES)) {
                for (part, numbers) in blocks.iter_mut().enumerate() {
                    let [low, high] = F::widen::<V>(block, part);
                    numbers[..LANES].copy_from_slice(&low.lanes());
                    numbers[LANES..].copy_from_slice(&high.lanes());
                }
            }
            if !rest.is_empty() {
                let last = last_part::<V, F>(row, whole).map(V::lanes);
                rest.copy_from_slice(&last.as_flattened()[..rest.len()]);
            }
        }
    }
}

struct FewRows<'a> {
    stretch: Stretch<'a>,
    /// `[rows, padded]`, with zeros behind the end of a row.
    x: &'a [f32],
    padded: usize,
    width: usize,
    /// `[output, row]`
    y: &'a mut [f32],
}

impl WideKernel for FewRows<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        with_format!(self.stretch.format, self.of::<V>)
    }
}

impl FewRows<'_> {
    #[inline(always)]
    fn of<V: Vector, F: Format>(mut self) {
        let rows = self.x.len() / self.padded;
        let mut output = 0;
        while output < self.stretch.rows {
            // Four outputs make a chain of additions for each unit; of a last few one at a time.
            let together = if output + TOGETHER <= self.stretch.rows { TOGETHER } else { 1 };
            let mut row = 0;
            while row < rows {
                row += match (rows - row, together) {
                    (8.., TOGETHER) if V::HAS_MANY => {
                        self.tile::<V, F, 2, 8>(output, row);
                        self.tile::<V, F, 2, 8>(output + 2, row)
                    }
                    (4.., TOGETHER) if V::HAS_MANY => self.tile::<V, F, TOGETHER, 4>(output, row),
                    (_, TOGETHER) if V::HAS_MANY => self.tile::<V, F, TOGETHER, 1>(output, row),
                    // Eight registers.
                    (4.., _) => {
                        (0..together).for_each(|at| _ = self.tile::<V, F, 1, 4>(output + at, row));
                        4
                    }
                    _ => {
                        (0..together).for_each(|at| _ = self.tile::<V, F, 1, 1>(output + at, row));
                        1
                    }
                };
            }
            output += together;
        }
    }

    /// `O` outputs from `output` on times `R` rows from `row` on; returns `R`. The order of every
    /// sum is the same in any company.
    #[inline(always)]
    fn tile<V: Vector, F: Format, const O: usize, const R: usize>(
        &mut self,
        output: usize,
        row: usize,
    ) -> usize {
        let row_bytes = self.stretch.bytes.len() / self.stretch.rows;
        let blocks: [&[u8]; O] =
            std::array::from_fn(|o| &self.stretch.bytes[(output + o) * row_bytes..][..row_bytes]);
        let x: [&[[f32; PART]]; R] = std::array::from_fn(|r| {
            self.x[(row + r) * self.padded..][..self.padded].as_chunks::<PART>().0
        });
        let whole = self.width / PART;
        let mut sums = [[V::splat(0.0); R]; O];
        // In whole groups of rows, so that every byte is asked for once.
        let ahead = AHEAD.next_multiple_of(O * row_bytes);
        let mut block = 0;
        while block * F::PARTS < whole {
            for blocks in blocks {
                for line in (0..F::BYTES).step_by(LINE) {
                    V::prefetch(blocks.as_ptr().wrapping_add(ahead + block * F::BYTES + line));
                }
            }
            for part in 0..F::PARTS {
                let at = block * F::PARTS + part;
                for o in 0..O {
                    let numbers = F::widen::<V>(&blocks[o][block * F::BYTES..][..F::BYTES], part);
                    for r in 0..R {
                        sums[o][r] = plus_part(sums[o][r], &x[r][at], numbers);
                    }
                }
            }
            block += 1;
        }
        if whole * PART < self.width {
            for o in 0..O {
                let numbers = last_part::<V, F>(blocks[o], whole);
                for r in 0..R {
                    sums[o][r] = plus_part(sums[o][r], &x[r][whole], numbers);
                }
            }
        }
        let rows = self.x.len() / self.padded;
        for (o, sums) in sums.into_iter().enumerate() {
            for (r, sum) in sums.into_iter().enumerate() {
                self.y[(output + o) * rows + row + r] = total(sum);
            }
        }
        R
    }
}

#[inline(always)]
fn plus_part<V: Vector>(sum: V, x: &[f32; PART], [low, high]: [V; 2]) -> V {
    let (halves, _) = x.as_chunks::<LANES>();
    sum.plus_product(V::load(&halves[0]), low).plus_product(V::load(&halves[1]), high)
}

/// The sum of all lanes, by halves.
#[inline(always)]
fn total<V: Vector>(sum: V) -> f32 {
    let lanes = sum.lanes();
    let eight: [f32; 8] = std::array::from_fn(|at| lanes[at] + lanes[at + 8]);
    let four: [f32; 4] = std::array::from_fn(|at| eight[at] + eight[at + 4]);
    (four[0] + four[2]) + (four[1] + four[3])
}
