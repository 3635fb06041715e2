//! Products of rows with a packed matrix, for kernels that post-process each result while it is in
//! a register.
//!
//! `faer` is faster for large products. Here the matrix is small, the rows are in the cache, and
//! bias, ReLU6 and a skip connection would each be another pass over the result.

use rayon::prelude::*;

use crate::simd::{LANES, Lanes, Vector, WideKernel, dispatch_wide};

/// A matrix `[inner, columns]` as `[block][inner][lane]`, with an initial value for the sum of each
/// column; the lanes after the last column are zero.
#[derive(Debug, Default)]
pub(crate) struct Packed {
    blocks: Vec<Lanes>,
    bias: Vec<Lanes>,
    inner: usize,
}

impl Packed {
    /// Packs a transposed matrix, `[columns, inner]` row-major, as convolutions have it, padding it
    /// with zero rows to `padded_inner`.
    pub(crate) fn pack_transposed(
        &mut self,
        weight: &[f32],
        bias: &[f32],
        inner: usize,
        padded_inner: usize,
    ) {
        (self.bias, self.inner) = (in_lanes(bias), padded_inner);
        self.blocks.resize(self.bias.len() * padded_inner, [0.0; LANES]);
        self.blocks.par_chunks_mut(padded_inner).zip(weight.par_chunks(LANES * inner)).for_each(
            |(block, columns)| {
                let (block, padding) = block.split_at_mut(inner);
                padding.fill([0.0; LANES]);
                if columns.len() == LANES * inner {
                    // Sixteen columns are read together, so that memory is written only once.
                    let columns: [&[f32]; LANES] =
                        std::array::from_fn(|lane| &columns[lane * inner..][..inner]);
                    for k in 0..inner {
                        block[k] = std::array::from_fn(|lane| columns[lane][k]);
                    }
                } else {
                    block.fill([0.0; LANES]);
                    for (lane, column) in columns.chunks_exact(inner).enumerate() {
                        block.iter_mut().zip(column).for_each(|(lanes, &w)| lanes[lane] = w);
                    }
                }
            },
        );
    }
}

/// A vector, padded with zeros.
pub(crate) fn in_lanes(vector: &[f32]) -> Vec<Lanes> {
    let mut lanes = vec![[0.0; LANES]; vector.len().div_ceil(LANES)];
    lanes.as_flattened_mut()[..vector.len()].copy_from_slice(vector);
    lanes
}

/// `y = x · matrix + bias`, row by row.
pub(crate) struct RowsTimes<'a> {
    /// `[rows, inner]`
    pub(crate) x: &'a [f32],
    pub(crate) matrix: &'a Packed,
    /// A tensor of the result's shape that is added to it.
    pub(crate) add: Option<&'a [f32]>,
    pub(crate) relu6: bool,
    /// `[rows, columns]`, or `[rows, padded_columns]`
    pub(crate) y: &'a mut [f32],
    /// The number of elements per row of `y`.
    pub(crate) y_row: usize,
}

impl RowsTimes<'_> {
    /// Computes the product on the current thread.
    pub(crate) fn run(self) {
        debug_assert_eq!(self.x.len() / self.matrix.inner, self.y.len() / self.y_row);
        dispatch_wide(self);
    }
}

impl WideKernel for RowsTimes<'_> {
    #[inline(always)]
    fn run<V: Vector>(mut self) {
        let (rows, n_blocks) = (self.y.len() / self.y_row, self.matrix.bias.len());
        let mut block = 0;
        while block < n_blocks {
            // Twelve rows, or eight times two blocks, if there are 32 registers; six rows if there
            // are eight.
            let in_pairs = V::HAS_MANY && block + 1 < n_blocks;
            let mut row = 0;
            while row < rows {
                row += match rows - row {
                    8.. if in_pairs => self.tiles::<V, 8, 2>(row, block),
                    3.. if in_pairs => self.tiles::<V, 3, 2>(row, block),
                    _ if in_pairs => self.tiles::<V, 1, 2>(row, block),
                    12.. if V::HAS_MANY => self.tiles::<V, 12, 1>(row, block),
                    6.. => self.tiles::<V, 6, 1>(row, block),
                    3.. => self.tiles::<V, 3, 1>(row, block),
                    _ => self.tiles::<V, 1, 1>(row, block),
                };
            }
            block += if in_pairs { 2 } else { 1 };
        }
    }
}

impl RowsTimes<'_> {
    /// Computes `P` rows from `row` on for `B` blocks; returns `P`.
    #[inline(always)]
    fn tiles<V: Vector, const P: usize, const B: usize>(
        &mut self,
        row: usize,
        block: usize,
    ) -> usize {
        let inner = self.matrix.inner;
        let x = &self.x[row * inner..][..P * inner];
        let rows: [&[f32]; P] = std::array::from_fn(|p| &x[p * inner..][..inner]);
        let weights: [&[Lanes]; B] =
            std::array::from_fn(|b| &self.matrix.blocks[(block + b) * inner..][..inner]);
        let mut sums: [[V; B]; P] =
            [std::array::from_fn(|b| V::load(&self.matrix.bias[block + b])); P];
        for k in 0..inner {
            let w: [V; B] = std::array::from_fn(|b| V::load(&weights[b][k]));
            for p in 0..P {
                let x = V::splat(rows[p][k]);
                for b in 0..B {
                    sums[p][b] = sums[p][b].plus_product(x, w[b]);
                }
            }
        }
        for (p, sums) in sums.into_iter().enumerate() {
            for (b, sum) in sums.into_iter().enumerate() {
                self.finish(row + p, block + b, sum);
            }
        }
        P
    }

    /// Writes up to sixteen sums, limited by the number of columns.
    #[inline(always)]
    fn finish<V: Vector>(&mut self, row: usize, block: usize, mut sum: V) {
        let column = block * LANES;
        let (at, lanes) = (row * self.y_row + column, LANES.min(self.y_row - column));
        if let Some(add) = self.add {
            let mut added = [0.0; LANES];
            added[..lanes].copy_from_slice(&add[at..at + lanes]);
            sum = sum.plus(V::load(&added));
        }
        if self.relu6 {
            sum = sum.relu6();
        }
        let sum = sum.lanes();
        if lanes == LANES {
            self.y[at..at + LANES].copy_from_slice(&sum);
        } else {
            self.y[at..at + lanes].copy_from_slice(&sum[..lanes]);
        }
    }
}
