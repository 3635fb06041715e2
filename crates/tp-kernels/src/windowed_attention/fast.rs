//! Windowed attention on the CPU.
//!
//! Forward, a task owns one query. Backward, a task owns one head of one image, as in deformable attention: it alone adds
//! to the gradients of that head's keys and values, in the order of the queries.

use std::sync::Arc;

use burn::backend::{TensorMetadata, flex::Flex, flex::FlexTensor};
use rayon::prelude::*;

use super::{WindowedAttentionOps, Windows, reference};
use crate::flex_buffer::{all_f32, floats, interleaved, tensor_of};
use crate::simd::{Kernel, dispatch};
use crate::vector_math::{add_scaled, dot, exp_in_place, maximum};

/// The inputs of one call, as slices.
#[derive(Clone, Copy)]
struct Call<'a> {
    queries: &'a [f32],
    keys: &'a [f32],
    values: &'a [f32],
    windows: &'a Windows,
    batch: usize,
    n_queries: usize,
    cells: usize,
    heads: usize,
    d_head: usize,
}

impl<'a> Call<'a> {
    /// Runs `body` on the inputs of a call.
    fn with<R>(tensors: [FlexTensor; 3], windows: &Windows, heads: usize, body: impl FnOnce(Call<'_>) -> R) -> R {
        let tensors = tensors.map(|tensor| tensor.to_contiguous());
        let (shape, cells) = (tensors[0].shape(), tensors[1].shape()[1]);
        let [queries, keys, values] = tensors.each_ref().map(floats);
        body(Call { queries, keys, values, windows, batch: shape[0], n_queries: shape[1], cells, heads, d_head: shape[2] / heads })
    }

    fn width(&self) -> usize {
        self.heads * self.d_head
    }

    fn scale(&self) -> f32 {
        1.0 / (self.d_head as f32).sqrt()
    }

    /// One head of one cell, of keys or values; `query` says which image.
    #[inline(always)]
    fn at(&self, all: &'a [f32], query: usize, cell: u32, head: usize) -> &'a [f32] {
        let row = query / self.n_queries * self.cells + cell as usize;
        &all[row * self.width() + head * self.d_head..][..self.d_head]
    }

    /// One head of one query or of one answer.
    #[inline(always)]
    fn head_of(&self, all: &'a [f32], query: usize, head: usize) -> &'a [f32] {
        &all[query * self.width() + head * self.d_head..][..self.d_head]
    }

    /// How much one head of a query reads of each cell of its window.
    #[inline(always)]
    fn weigh<const FMA: bool>(&self, query: usize, head: usize, weights: &mut Vec<f32>) {
        let (cells, bias) = self.windows.get(query);
        let own = self.head_of(self.queries, query, head);
        weights.clear();
        weights.extend(
            cells.iter().zip(bias).map(|(&cell, bias)| self.scale() * dot::<FMA>(own, self.at(self.keys, query, cell, head)) + bias),
        );
        let highest = maximum(weights);
        let total = exp_in_place::<FMA>(weights, highest);
        weights.iter_mut().for_each(|weight| *weight /= total);
    }
}

/// What one query reads, all heads.
struct Read<'a> {
    call: Call<'a>,
    query: usize,
    out: &'a mut [f32],
    weights: &'a mut Vec<f32>,
}

impl Kernel for Read<'_> {
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Self { call, query, out, weights } = self;
        let (cells, _) = call.windows.get(query);
        for (head, out) in out.chunks_exact_mut(call.d_head).enumerate() {
            call.weigh::<FMA>(query, head, weights);
            for (&cell, &weight) in cells.iter().zip(weights.iter()) {
                add_scaled::<FMA>(out, weight, call.at(call.values, query, cell, head));
            }
        }
    }
}

/// Gradients of one head of one image, each without the dimension of the heads.
struct HeadGradient {
    queries: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
}

struct ReadBackward<'a> {
    call: Call<'a>,
    dy: &'a [f32],
    image: usize,
    head: usize,
    out: &'a mut HeadGradient,
}

impl Kernel for ReadBackward<'_> {
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Self { call, dy, image, head, out } = self;
        let (d_head, scale) = (call.d_head, call.scale());
        let (mut weights, mut slopes) = (Vec::new(), Vec::new());
        for (own, query) in (image * call.n_queries..(image + 1) * call.n_queries).enumerate() {
            let (cells, _) = call.windows.get(query);
            let dy = call.head_of(dy, query, head);
            call.weigh::<FMA>(query, head, &mut weights);
            slopes.clear();
            slopes.extend(cells.iter().map(|&cell| dot::<FMA>(dy, call.at(call.values, query, cell, head))));
            let shared = dot::<FMA>(&weights, &slopes);
            let asked = call.head_of(call.queries, query, head);
            let dquery = &mut out.queries[own * d_head..][..d_head];
            for ((&cell, &weight), slope) in cells.iter().zip(&weights).zip(&slopes) {
                let at = cell as usize * d_head..(cell as usize + 1) * d_head;
                let dscore = scale * weight * (slope - shared);
                add_scaled::<FMA>(dquery, dscore, call.at(call.keys, query, cell, head));
                add_scaled::<FMA>(&mut out.keys[at.clone()], dscore, asked);
                add_scaled::<FMA>(&mut out.values[at], weight, dy);
            }
        }
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
            out.par_chunks_mut(call.width()).enumerate().for_each_init(Vec::new, |weights, (query, out)| {
                dispatch(Read { call, query, out, weights });
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
            return reference::windowed_attention_backward::<Self>(queries, keys, values, &windows, heads, dy);
        }
        let [queries_shape, cells_shape] = [queries.shape(), keys.shape()];
        let dy = dy.to_contiguous();
        let dy = floats(&dy);
        Call::with([queries, keys, values], &windows, heads, |call| {
            let per_head = |map: usize| {
                let mut gradient = HeadGradient {
                    queries: vec![0.0; call.n_queries * call.d_head],
                    keys: vec![0.0; call.cells * call.d_head],
                    values: vec![0.0; call.cells * call.d_head],
                };
                dispatch(ReadBackward { call, dy, image: map / heads, head: map % heads, out: &mut gradient });
                gradient
            };
            let gradients: Vec<HeadGradient> = (0..call.batch * heads).into_par_iter().map(per_head).collect();
            let of = |part: fn(&HeadGradient) -> &[f32]| interleaved(&gradients, part, heads, call.d_head);
            (
                tensor_of(of(|gradient| &gradient.queries), queries_shape),
                tensor_of(of(|gradient| &gradient.keys), cells_shape.clone()),
                tensor_of(of(|gradient| &gradient.values), cells_shape),
            )
        })
    }
}
