//! Windowed attention on the CPU.
//!
//! All heads of a cell lie side by side in memory and are read together, so a window is a few
//! stretches of whole rows. Forward, a task owns one query. Backward, a task first owns one query
//! and notes what each cell of its window gave; then a task owns a block of cells and adds up what
//! the queries noted of it, in their order.

use std::sync::Arc;

use burn::backend::{TensorMetadata, flex::Flex, flex::FlexTensor};
use rayon::prelude::*;

use super::{WindowedAttentionOps, Windows, reference};
use crate::flex_buffer::{all_f32, floats, tensor_of};
use crate::simd::{Kernel, dispatch};
use crate::vector_math::{add_scaled, exp, short_dot};

/// One number for each of eight heads: what is computed of heads alone is computed of eight at a
/// time.
type Heads = [f32; LANES];
const LANES: usize = 8;
/// Numbers that a task should read at least; waking a thread costs about as much.
const GRAIN: usize = 1 << 16;
/// Cells of one task of the backward pass.
const BLOCK: usize = 64;

/// The inputs of one call, as slices.
#[derive(Clone, Copy)]
struct Call<'a> {
    queries: &'a [f32],
    keys: &'a [f32],
    values: &'a [f32],
    windows: &'a Windows,
    n_queries: usize,
    cells: usize,
    heads: usize,
    d_head: usize,
}

impl<'a> Call<'a> {
    /// Runs `body` on the inputs of a call.
    fn with<R>(
        tensors: [FlexTensor; 3],
        windows: &Windows,
        heads: usize,
        body: impl FnOnce(Call<'_>) -> R,
    ) -> R {
        let tensors = tensors.map(|tensor| tensor.to_contiguous());
        let (shape, cells) = (tensors[0].shape(), tensors[1].shape()[1]);
        let [queries, keys, values] = tensors.each_ref().map(floats);
        body(Call {
            queries,
            keys,
            values,
            windows,
            n_queries: shape[1],
            cells,
            heads,
            d_head: shape[2] / heads,
        })
    }

    fn width(&self) -> usize {
        self.heads * self.d_head
    }

    fn scale(&self) -> f32 {
        1.0 / (self.d_head as f32).sqrt()
    }

    /// How many [`Heads`] hold one number for every head.
    fn groups(&self) -> usize {
        self.heads.div_ceil(LANES)
    }

    /// Queries of one task: as many as read [`GRAIN`] numbers.
    fn queries_per_task(&self) -> usize {
        let numbers = 2 * self.windows.n_entries() * self.width();
        (GRAIN * self.windows.len() / numbers.max(1)).max(1)
    }

    /// All heads of one query, or of its answer.
    #[inline(always)]
    fn of_query<'b>(&self, all: &'b [f32], query: usize) -> &'b [f32] {
        &all[query * self.width()..][..self.width()]
    }

    /// All heads of the keys or values of each cell that a query reads.
    #[inline(always)]
    fn window(&self, all: &'a [f32], query: usize) -> impl Iterator<Item = &'a [f32]> {
        let (image, width) = (query / self.n_queries * self.cells, self.width());
        self.windows
            .get(query)
            .0
            .iter()
            .map(move |&cell| &all[(image + cell as usize) * width..][..width])
    }

    /// How much each head of a query reads of each cell of its window, `[cell][group]`.
    #[inline(always)]
    fn weigh<const FMA: bool>(&self, query: usize, weights: &mut [Heads]) {
        let (asked, scale, groups) =
            (self.of_query(self.queries, query), self.scale(), self.groups());
        let (_, bias) = self.windows.get(query);
        for ((key, bias), scores) in
            self.window(self.keys, query).zip(bias).zip(weights.chunks_exact_mut(groups))
        {
            dots::<FMA>(asked, key, self.d_head, scores);
            scores.as_flattened_mut().iter_mut().for_each(|score| *score = scale * *score + bias);
        }
        for group in 0..groups {
            let mut highest = [f32::NEG_INFINITY; LANES];
            for score in weights[group..].iter().step_by(groups) {
                (0..LANES).for_each(|head| {
                    highest[head] =
                        if score[head] > highest[head] { score[head] } else { highest[head] }
                });
            }
            let mut total = [0.0; LANES];
            for score in weights[group..].iter_mut().step_by(groups) {
                for head in 0..LANES {
                    score[head] = exp::<FMA>(score[head] - highest[head]);
                    total[head] += score[head];
                }
            }
            let share = total.map(|total| 1.0 / total);
            for score in weights[group..].iter_mut().step_by(groups) {
                (0..LANES).for_each(|head| score[head] *= share[head]);
            }
        }
    }
}

/// The product of every head of `x` with the same head of `y`.
#[inline(always)]
fn dots<const FMA: bool>(x: &[f32], y: &[f32], d_head: usize, out: &mut [Heads]) {
    for ((x, y), out) in
        x.chunks_exact(d_head).zip(y.chunks_exact(d_head)).zip(out.as_flattened_mut())
    {
        *out = short_dot::<FMA>(x, y);
    }
}

/// `y += a x`, for every head its own `a`.
#[inline(always)]
fn add_heads<const FMA: bool>(y: &mut [f32], a: &[Heads], x: &[f32], d_head: usize) {
    for ((y, x), &a) in y.chunks_exact_mut(d_head).zip(x.chunks_exact(d_head)).zip(a.as_flattened())
    {
        add_scaled::<FMA>(y, a, x);
    }
}

/// What one query reads, all heads.
struct Read<'a> {
    call: Call<'a>,
    query: usize,
    out: &'a mut [f32],
    /// Room for the weights of its window.
    weights: &'a mut [Heads],
}

impl Kernel for Read<'_> {
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Self { call, query, out, weights } = self;
        call.weigh::<FMA>(query, weights);
        for (value, weight) in
            call.window(call.values, query).zip(weights.chunks_exact(call.groups()))
        {
            add_heads::<FMA>(out, weight, value, call.d_head);
        }
    }
}

/// The gradient of one query; and of each cell that it read how much, and the slope of that.
struct ReadBackward<'a> {
    call: Call<'a>,
    dy: &'a [f32],
    query: usize,
    dquery: &'a mut [f32],
    weights: &'a mut [Heads],
    dscores: &'a mut [Heads],
}

impl Kernel for ReadBackward<'_> {
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Self { call, dy, query, dquery, weights, dscores } = self;
        let (groups, scale) = (call.groups(), call.scale());
        call.weigh::<FMA>(query, weights);
        for (value, slope) in call.window(call.values, query).zip(dscores.chunks_exact_mut(groups))
        {
            dots::<FMA>(call.of_query(dy, query), value, call.d_head, slope);
        }
        for group in 0..groups {
            let mut shared = [0.0; LANES];
            for (weight, slope) in weights[group..].iter().zip(&dscores[group..]).step_by(groups) {
                (0..LANES).for_each(|head| shared[head] += weight[head] * slope[head]);
            }
            for (weight, slope) in
                weights[group..].iter().zip(&mut dscores[group..]).step_by(groups)
            {
                (0..LANES).for_each(|head| {
                    slope[head] = scale * weight[head] * (slope[head] - shared[head])
                });
            }
        }
        for (key, dscore) in call.window(call.keys, query).zip(dscores.chunks_exact(groups)) {
            add_heads::<FMA>(dquery, dscore, key, call.d_head);
        }
    }
}

/// The gradients of a block of cells, out of what the queries noted.
struct Gather<'a> {
    call: Call<'a>,
    dy: &'a [f32],
    weights: &'a [Heads],
    dscores: &'a [Heads],
    /// Counted over all images, as the readers are.
    first_cell: usize,
    readers: &'a Readers,
    dkeys: &'a mut [f32],
    dvalues: &'a mut [f32],
}

impl Kernel for Gather<'_> {
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Self { call, dy, weights, dscores, first_cell, readers, dkeys, dvalues } = self;
        let (width, groups) = (call.width(), call.groups());
        let rows = dkeys.chunks_exact_mut(width).zip(dvalues.chunks_exact_mut(width));
        for (cell, (dkey, dvalue)) in rows.enumerate() {
            let readers = readers.of(first_cell + cell);
            if readers.is_empty() {
                continue;
            }
            // Zeros already, but fresh memory: a page that is read before it is written is handed
            // out twice.
            dkey.fill(0.0);
            dvalue.fill(0.0);
            for &(query, entry) in readers {
                let noted = entry as usize * groups..(entry as usize + 1) * groups;
                add_heads::<FMA>(
                    dkey,
                    &dscores[noted.clone()],
                    call.of_query(call.queries, query as usize),
                    call.d_head,
                );
                add_heads::<FMA>(
                    dvalue,
                    &weights[noted],
                    call.of_query(dy, query as usize),
                    call.d_head,
                );
            }
        }
    }
}

/// Who reads each cell: the windows the other way round.
struct Readers {
    /// Where the readers of each cell begin, and where the last ones end.
    starts: Vec<u32>,
    /// Query, and number of the entry among those of all windows; by query for each cell.
    entries: Vec<(u32, u32)>,
}

impl Readers {
    fn new(call: Call<'_>) -> Self {
        let windows = call.windows;
        let entries = || {
            (0..windows.len()).flat_map(|query| {
                let image = query / call.n_queries * call.cells;
                windows.get(query).0.iter().map(move |&cell| (query, image + cell as usize))
            })
        };
        // A counting sort. While it runs, `starts[cell + 1]` is where the next reader of the cell
        // goes.
        let n_cells = windows.len() / call.n_queries.max(1) * call.cells;
        let mut starts = vec![0_u32; n_cells + 2];
        entries().for_each(|(_, cell)| starts[cell + 2] += 1);
        (2..starts.len()).for_each(|cell| starts[cell] += starts[cell - 1]);
        let mut sorted = vec![(0, 0); windows.n_entries()];
        for (entry, (query, cell)) in entries().enumerate() {
            let next = &mut starts[cell + 1];
            sorted[*next as usize] = (query as u32, entry as u32);
            *next += 1;
        }
        Self { starts, entries: sorted }
    }

    fn of(&self, cell: usize) -> &[(u32, u32)] {
        &self.entries[self.starts[cell] as usize..self.starts[cell + 1] as usize]
    }
}

impl WindowedAttentionOps for Flex {
    fn fused_windowed_attention(
        queries: FlexTensor,
        keys: FlexTensor,
        values: FlexTensor,
        windows: Arc<Windows>,
        heads: usize,
    ) -> FlexTensor {
        if !all_f32(&[&queries, &keys, &values]) {
            return reference::windowed_attention::<Self>(queries, keys, values, &windows, heads);
        }
        let shape = queries.shape();
        Call::with([queries, keys, values], &windows, heads, |call| {
            let mut out = vec![0.0; shape.num_elements()];
            let room = || vec![[0.0; LANES]; windows.largest() * call.groups()];
            let tasks =
                out.par_chunks_mut(call.width()).enumerate().with_min_len(call.queries_per_task());
            tasks.for_each_init(room, |weights, (query, out)| {
                let n = windows.range(query).len() * call.groups();
                dispatch(Read { call, query, out, weights: &mut weights[..n] });
            });
            tensor_of(out, shape)
        })
    }

    fn fused_windowed_attention_backward(
        queries: FlexTensor,
        keys: FlexTensor,
        values: FlexTensor,
        windows: Arc<Windows>,
        heads: usize,
        dy: FlexTensor,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        if !all_f32(&[&queries, &keys, &values, &dy]) {
            return reference::windowed_attention_backward::<Self>(
                queries, keys, values, &windows, heads, dy,
            );
        }
        let [queries_shape, cells_shape] = [queries.shape(), keys.shape()];
        let dy = dy.to_contiguous();
        let dy = floats(&dy);
        Call::with([queries, keys, values], &windows, heads, |call| {
            let (width, groups) = (call.width(), call.groups());
            let mut dqueries = vec![0.0; queries_shape.num_elements()];
            let [mut weights, mut dscores] =
                [(); 2].map(|()| vec![[0.0; LANES]; windows.n_entries() * groups]);
            let notes = windows
                .split(&mut weights, groups)
                .into_par_iter()
                .zip(windows.split(&mut dscores, groups));
            let tasks = dqueries
                .par_chunks_mut(width)
                .zip(notes)
                .enumerate()
                .with_min_len(call.queries_per_task());
            tasks.for_each(|(query, (dquery, (weights, dscores)))| {
                dispatch(ReadBackward { call, dy, query, dquery, weights, dscores });
            });

            let readers = Readers::new(call);
            let [mut dkeys, mut dvalues] = [(); 2].map(|()| vec![0.0; cells_shape.num_elements()]);
            let blocks =
                dkeys.par_chunks_mut(BLOCK * width).zip(dvalues.par_chunks_mut(BLOCK * width));
            blocks.enumerate().for_each(|(block, (dkeys, dvalues))| {
                let (weights, dscores, readers, first_cell) =
                    (&weights, &dscores, &readers, block * BLOCK);
                dispatch(Gather {
                    call,
                    dy,
                    weights,
                    dscores,
                    first_cell,
                    readers,
                    dkeys,
                    dvalues,
                });
            });
            (
                tensor_of(dqueries, queries_shape),
                tensor_of(dkeys, cells_shape.clone()),
                tensor_of(dvalues, cells_shape),
            )
        })
    }
}
