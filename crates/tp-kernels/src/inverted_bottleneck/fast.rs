//! The inverted bottleneck on the CPU, slab by slab.
//!
//! A slab is the number of output rows for which the expanded map fits into the cache. Its rows are
//! first expanded, then filtered and projected; each of the two steps is shared by all threads. No
//! sum is split, so the result does not depend on the number of threads.

use std::cell::RefCell;

use burn::backend::{TensorMetadata, flex::Flex, flex::FlexTensor};
use rayon::prelude::*;

use super::{BottleneckForm, InvertedBottleneckOps, reference};
use crate::flex_buffer::{all_f32, floats, tensor_of};
use crate::packed_rows::{Packed, RowsTimes, in_lanes};
use crate::same_padding::SamePadding;
use crate::simd::{LANES, Lanes, Vector, WideKernel, dispatch_wide};

/// Approximate number of elements of a slab's expanded map: 2 MiB.
const SLAB: usize = 512 * 1024;
/// Approximate number of tasks per step.
const TASKS: usize = 8;
/// The minimum number of pixels per task: weights are read once for each.
const PIXELS: usize = 24;

thread_local! {
    /// The buffers of the last block on this thread: allocating fresh pages would cost more than
    /// the computation in them.
    static WORKSPACE: RefCell<Workspace> = RefCell::default();
}

#[derive(Default)]
struct Workspace {
    /// `[row, column, inside]`
    expanded: Vec<f32>,
    /// `[row, column, inside]`
    filtered: Vec<f32>,
    expand: Packed,
    project: Packed,
}

/// The sizes of a block; `inside` is a multiple of the lanes.
#[derive(Clone, Copy)]
struct Geometry {
    rows: SamePadding,
    columns: SamePadding,
    from: usize,
    inside: usize,
    to: usize,
    k: usize,
    stride: usize,
}

impl Geometry {
    /// The number of output rows of a slab.
    fn slab(&self) -> usize {
        let fitting = SLAB / (self.columns.input * self.inside);
        let rows = (fitting.saturating_sub(self.k) / self.stride + 1).min(self.rows.output);
        // Slabs of equal size.
        self.rows.output.div_ceil(self.rows.output.div_ceil(rows))
    }

    /// The input rows for a range of output rows.
    fn under(&self, first: usize, rows: usize) -> std::ops::Range<usize> {
        let end = (first + rows - 1) * self.stride + self.k;
        (first * self.stride).saturating_sub(self.rows.before)
            ..end.saturating_sub(self.rows.before).min(self.rows.input)
    }
}

impl InvertedBottleneckOps for Flex {
    fn fused_inverted_bottleneck(
        x: FlexTensor,
        expand_weight: FlexTensor,
        expand_bias: FlexTensor,
        depthwise_weight: FlexTensor,
        depthwise_bias: FlexTensor,
        project_weight: FlexTensor,
        project_bias: FlexTensor,
        form: BottleneckForm,
    ) -> FlexTensor {
        let tensors = [
            &x,
            &expand_weight,
            &expand_bias,
            &depthwise_weight,
            &depthwise_bias,
            &project_weight,
            &project_bias,
        ];
        let k = depthwise_weight.shape()[2];
        let has_loop = matches!(k, 3 | 5) && matches!(form.stride, 1 | 2);
        if !has_loop
            || !all_f32(&tensors)
            || tensors.iter().any(|tensor| tensor.shape().num_elements() == 0)
        {
            let weights = reference::Weights {
                expand_weight,
                expand_bias,
                depthwise_weight,
                depthwise_bias,
                project_weight,
                project_bias,
            };
            return reference::inverted_bottleneck::<Self>(x, weights, form);
        }
        let shape = x.shape();
        let [rows, columns] = SamePadding::of_map([shape[1], shape[2]], k, form.stride);
        let inner = expand_bias.shape()[0];
        let (from, to, inside) = (shape[3], project_bias.shape()[0], inner.next_multiple_of(LANES));
        let size = Geometry { rows, columns, from, inside, to, k, stride: form.stride };

        let [
            x,
            expand_weight,
            expand_bias,
            depthwise_weight,
            depthwise_bias,
            project_weight,
            project_bias,
        ] = tensors.map(|tensor| tensor.to_contiguous());
        // Taken and not borrowed, because this thread may start another block while it waits for
        // other threads.
        let mut workspace = WORKSPACE.take();
        workspace.expand.pack_transposed(floats(&expand_weight), floats(&expand_bias), from, from);
        workspace.project.pack_transposed(
            floats(&project_weight),
            floats(&project_bias),
            inner,
            inside,
        );
        let filters = Filters {
            taps: packed_filters(floats(&depthwise_weight), k * k),
            bias: in_lanes(floats(&depthwise_bias)),
        };

        let mut out = vec![0.0; shape[0] * rows.output * columns.output * to];
        let images = floats(&x).chunks_exact(rows.input * columns.input * from);
        for (image, out) in images.zip(out.chunks_exact_mut(rows.output * columns.output * to)) {
            for (index, out) in out.chunks_mut(size.slab() * columns.output * to).enumerate() {
                make_slab(
                    image,
                    index * size.slab(),
                    out,
                    &filters,
                    form.adds_input,
                    size,
                    &mut workspace,
                );
            }
        }
        WORKSPACE.replace(workspace);
        tensor_of(out, [shape[0], rows.output, columns.output, to])
    }
}

/// One filter per channel.
struct Filters {
    /// `[block][tap][lane]`
    taps: Vec<Lanes>,
    bias: Vec<Lanes>,
}

/// `[channels, 1, k, k]` as `[block][tap][lane]`.
fn packed_filters(weight: &[f32], taps: usize) -> Vec<Lanes> {
    let channels = weight.len() / taps;
    let mut packed = vec![[0.0; LANES]; channels.div_ceil(LANES) * taps];
    for (channel, filter) in weight.chunks_exact(taps).enumerate() {
        let block = &mut packed[channel / LANES * taps..][..taps];
        block.iter_mut().zip(filter).for_each(|(lanes, &w)| lanes[channel % LANES] = w);
    }
    packed
}

/// Computes the output rows from `first` on.
fn make_slab(
    image: &[f32],
    first: usize,
    out: &mut [f32],
    filters: &Filters,
    adds_input: bool,
    size: Geometry,
    workspace: &mut Workspace,
) {
    let Geometry { columns, from, inside, to, .. } = size;
    let rows = out.len() / (columns.output * to);
    let under = size.under(first, rows);
    let read = &image[under.start * columns.input * from..under.end * columns.input * from];
    let Workspace { expanded, filtered, expand, project } = workspace;
    let pixels = under.len() * columns.input;
    expanded.resize(expanded.len().max(pixels * inside), 0.0);
    filtered.resize(filtered.len().max(rows * columns.output * inside), 0.0);

    let task = pixels.div_ceil(TASKS).max(PIXELS).next_multiple_of(8);
    let expanded = &mut expanded[..pixels * inside];
    expanded.par_chunks_mut(task * inside).zip(read.par_chunks(task * from)).for_each(|(y, x)| {
        RowsTimes { x, matrix: expand, add: None, relu6: true, y, y_row: inside }.run();
    });

    let (expanded, task) = (&*expanded, rows.div_ceil(TASKS).max(PIXELS.div_ceil(columns.output)));
    let filtered =
        filtered[..rows * columns.output * inside].par_chunks_mut(task * columns.output * inside);
    out.par_chunks_mut(task * columns.output * to).zip(filtered).enumerate().for_each(
        |(index, (out, filtered))| {
            let task_first = first + index * task;
            for (row, filtered) in filtered.chunks_exact_mut(columns.output * inside).enumerate() {
                dispatch_wide(FilteredRow {
                    expanded,
                    first_row: under.start,
                    row: task_first + row,
                    filters,
                    size,
                    out: filtered,
                });
            }
            let add = adds_input.then(|| &image[task_first * columns.input * from..][..out.len()]);
            RowsTimes { x: filtered, matrix: project, add, relu6: false, y: out, y_row: to }.run();
        },
    );
}

/// One row of the filtered map.
struct FilteredRow<'a> {
    /// Rows of the expanded map from `first_row` on.
    expanded: &'a [f32],
    first_row: usize,
    row: usize,
    filters: &'a Filters,
    size: Geometry,
    out: &'a mut [f32],
}

impl WideKernel for FilteredRow<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        match (self.size.k, self.size.stride) {
            (3, 1) => self.run_filter::<V, 3, 1>(),
            (3, _) => self.run_filter::<V, 3, 2>(),
            (_, 1) => self.run_filter::<V, 5, 1>(),
            (_, _) => self.run_filter::<V, 5, 2>(),
        }
    }
}

impl FilteredRow<'_> {
    #[inline(always)]
    fn run_filter<V: Vector, const K: usize, const S: usize>(mut self) {
        let columns = self.size.columns;
        // Columns whose filters lie inside the map.
        let begin = columns.before.div_ceil(S).min(columns.output);
        let end = ((columns.input + columns.before).saturating_sub(K) / S + 1)
            .clamp(begin, columns.output);
        let inner = if columns.input < K { begin..begin } else { begin..end };
        for block in 0..self.filters.bias.len() {
            for column in (0..inner.start).chain(inner.end..columns.output) {
                self.border_pixel::<V, K, S>(block, column);
            }
            let mut column = inner.start;
            while column < inner.end {
                column += match inner.end - column {
                    8.. if V::HAS_MANY => self.tile::<V, K, S, 8>(block, column),
                    4.. => self.tile::<V, K, S, 4>(block, column),
                    _ => self.tile::<V, K, S, 1>(block, column),
                };
            }
        }
    }

    /// The rows of the filter inside the map, and the row of `expanded` to which the first of them
    /// applies.
    #[inline(always)]
    fn rows<const K: usize, const S: usize>(&self) -> (std::ops::Range<usize>, usize) {
        let rows = self.size.rows;
        let (above, top) =
            (rows.before.saturating_sub(self.row * S), (self.row * S).saturating_sub(rows.before));
        (above..K.min(rows.input + rows.before - self.row * S), top - self.first_row)
    }

    /// Computes `T` pixels whose filters lie inside the map's columns; returns `T`.
    #[inline(always)]
    fn tile<V: Vector, const K: usize, const S: usize, const T: usize>(
        &mut self,
        block: usize,
        column: usize,
    ) -> usize {
        let (blocks, columns) = (self.size.inside / LANES, self.size.columns);
        let (filter_rows, top) = self.rows::<K, S>();
        let taps = &self.filters.taps[block * K * K..][..K * K];
        let cells = self.expanded.as_chunks::<LANES>().0;
        let mut sums = [V::load(&self.filters.bias[block]); T];
        for (index, u) in filter_rows.enumerate() {
            let start =
                ((top + index) * columns.input + column * S - columns.before) * blocks + block;
            let row = &cells[start..=start + ((T - 1) * S + K - 1) * blocks];
            for v in 0..K {
                let w = V::load(&taps[u * K + v]);
                for t in 0..T {
                    sums[t] = sums[t].plus_product(V::load(&row[(t * S + v) * blocks]), w);
                }
            }
        }
        let out = self.out.as_chunks_mut::<LANES>().0;
        for (t, sum) in sums.into_iter().enumerate() {
            out[(column + t) * blocks + block] = sum.relu6().lanes();
        }
        T
    }

    /// A pixel whose filter extends beyond the map's border.
    #[inline(always)]
    fn border_pixel<V: Vector, const K: usize, const S: usize>(
        &mut self,
        block: usize,
        column: usize,
    ) {
        let (blocks, columns) = (self.size.inside / LANES, self.size.columns);
        let (filter_rows, top) = self.rows::<K, S>();
        let cells = self.expanded.as_chunks::<LANES>().0;
        let mut sum = V::load(&self.filters.bias[block]);
        for (index, u) in filter_rows.enumerate() {
            for v in 0..K {
                let Some(x) =
                    (column * S + v).checked_sub(columns.before).filter(|&x| x < columns.input)
                else {
                    continue;
                };
                let pixel = V::load(&cells[((top + index) * columns.input + x) * blocks + block]);
                sum = sum.plus_product(pixel, V::load(&self.filters.taps[(block * K + u) * K + v]));
            }
        }
        self.out.as_chunks_mut::<LANES>().0[column * blocks + block] = sum.relu6().lanes();
    }
}
