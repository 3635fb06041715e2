//! Causal attention on the CPU: each task handles a block of queries, whose scores stay in the
//! cache.

use burn::backend::{TensorMetadata, flex::Flex, flex::FlexTensor};
use faer::MatRef;
use rayon::prelude::*;

use super::{AttentionHeads, CausalAttentionOps, reference};
use crate::flex_buffer::{all_f32, floats, interleaved, tensor_of};
use crate::matrix::{matrix, matrix_mut, multiply};
use crate::simd::{Kernel, dispatch};
use crate::vector_math::{add_scaled, dot, exp_in_place, maximum, mul_add};

/// Tokens per block of queries: its scores fit into the second-level cache, and later keys are
/// skipped by block.
const BLOCK: usize = 64;

/// The inputs of one call, as slices.
#[derive(Clone, Copy)]
struct Call<'a> {
    qkv: &'a [f32],
    prefix_keys: &'a [f32],
    prefix_values: &'a [f32],
    cos: &'a [f32],
    sin: &'a [f32],
    lengths: &'a [usize],
    batch: usize,
    tokens: usize,
    heads: AttentionHeads,
    kv_heads: usize,
    queries_per_key: usize,
    d_head: usize,
    prefix: usize,
    angle_groups: usize,
}

impl<'a> Call<'a> {
    /// Runs `body` on the inputs of a call.
    fn with<R>(
        tensors: [FlexTensor; 5],
        lengths: &[usize],
        heads: AttentionHeads,
        body: impl FnOnce(Call<'_>) -> R,
    ) -> R {
        let tensors = tensors.map(|tensor| tensor.to_contiguous());
        let (shape, prefix, angles) =
            (tensors[0].shape(), tensors[1].shape()[1], tensors[3].shape());
        let [qkv, prefix_keys, prefix_values, cos, sin] = tensors.each_ref().map(floats);
        let AttentionHeads { kv_heads, queries_per_key, .. } = heads;
        let (batch, tokens, d_head, angle_groups) = (shape[0], shape[1], 2 * angles[2], angles[0]);
        body(Call {
            qkv,
            prefix_keys,
            prefix_values,
            cos,
            sin,
            lengths,
            batch,
            tokens,
            heads,
            kv_heads,
            queries_per_key,
            d_head,
            prefix,
            angle_groups,
        })
    }

    /// The number of elements from one token's projections to the next one's.
    fn width(&self) -> usize {
        self.kv_heads * (self.queries_per_key + 2) * self.d_head
    }

    fn out_width(&self) -> usize {
        self.kv_heads * self.queries_per_key * self.d_head
    }

    fn group(&self, row: usize) -> usize {
        row / (self.batch / self.lengths.len())
    }

    fn scale(&self) -> f32 {
        1.0 / (self.d_head as f32).sqrt()
    }

    /// One slot of one key head in a row's projections: queries first, then the key, then the
    /// value.
    fn slot(&self, row: usize, head: usize, slot: usize) -> &'a [f32] {
        &self.qkv[row * self.tokens * self.width()
            + (head * (self.queries_per_key + 2) + slot) * self.d_head..]
    }

    /// The prefix of one key head of a row's group: keys or values, `[length, d_head]`.
    fn seen(&self, all: &'a [f32], row: usize, head: usize) -> MatRef<'a, f32> {
        let group = self.group(row);
        let start = (group * self.kv_heads + head) * self.prefix * self.d_head;
        matrix(&all[start..], [self.lengths[group], self.d_head], self.d_head)
    }

    /// Cosines and sines of a row's tokens, `[tokens, d_head / 2]` each.
    fn angles(&self, row: usize) -> [&'a [f32]; 2] {
        let group = if self.angle_groups == 1 { 0 } else { self.group(row) };
        let len = self.tokens * self.d_head / 2;
        [self.cos, self.sin].map(|all| &all[group * len..][..len])
    }

    /// One slot of the tokens `from..to`, rotated and scaled, `[to - from, d_head]`.
    #[inline(always)]
    fn turned<const FMA: bool>(
        &self,
        row: usize,
        head: usize,
        slot: usize,
        [from, to]: [usize; 2],
        scale: f32,
        out: &mut Vec<f32>,
    ) {
        let (d_head, half, width) = (self.d_head, self.d_head / 2, self.width());
        let [cos, sin] = self.angles(row);
        let source = self.slot(row, head, slot);
        out.clear();
        out.resize((to - from) * d_head, 0.0);
        for (token, out) in (from..to).zip(out.chunks_exact_mut(d_head)) {
            let x = &source[token * width..][..d_head];
            let (first, second) = x.split_at(half);
            let (out_first, out_second) = out.split_at_mut(half);
            let (cos, sin) = (&cos[token * half..][..half], &sin[token * half..][..half]);
            for j in 0..half {
                out_first[j] = scale * (first[j] * cos[j] - second[j] * sin[j]);
                out_second[j] = scale * (second[j] * cos[j] + first[j] * sin[j]);
            }
        }
    }

    /// Softmax of the scores of the queries `from..to` of one head: over the prefix and over own
    /// keys up to each token, as far back as the window reaches.
    #[inline(always)]
    fn weigh<const FMA: bool>(
        &self,
        row: usize,
        head: usize,
        [from, to]: [usize; 2],
        queries: &[f32],
        keys: &[f32],
        weights: &mut Vec<f32>,
    ) {
        let (n, d_head) = (to - from, self.d_head);
        let length = self.lengths[self.group(row)];
        let n_keys = length + to;
        weights.clear();
        weights.resize(n * n_keys, 0.0);
        let queries = matrix(queries, [n, d_head], d_head);
        multiply(
            matrix_mut(weights, [n, length], n_keys),
            queries,
            self.seen(self.prefix_keys, row, head).transpose(),
            false,
        );
        let own = matrix(keys, [to, d_head], d_head).transpose();
        multiply(matrix_mut(&mut weights[length..], [n, to], n_keys), queries, own, false);
        for (token, weights) in (from..to).zip(weights.chunks_exact_mut(n_keys)) {
            let place = length + token;
            let (open, later) = weights.split_at_mut(place + 1);
            let (earlier, open) = open.split_at_mut(self.heads.first_seen(place));
            let highest = maximum(open);
            let total = exp_in_place::<FMA>(open, highest);
            open.iter_mut().for_each(|weight| *weight /= total);
            earlier.fill(0.0);
            later.fill(0.0);
        }
    }
}

/// The buffers of one task.
#[derive(Default)]
struct Scratch {
    queries: Vec<f32>,
    keys: Vec<f32>,
    weights: Vec<f32>,
    dscores: Vec<f32>,
    dturned: Vec<f32>,
}

/// The attention output of the queries `from..to` of a row, `[to - from, out_width]`.
struct Forward<'a> {
    call: Call<'a>,
    row: usize,
    range: [usize; 2],
    out: &'a mut [f32],
    scratch: &'a mut Scratch,
}

impl Kernel for Forward<'_> {
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Self { call, row, range: [from, to], out, scratch } = self;
        let Scratch { queries, keys, weights, .. } = scratch;
        let (d_head, slots, length) =
            (call.d_head, call.queries_per_key, call.lengths[call.group(row)]);
        for head in 0..call.kv_heads {
            call.turned::<FMA>(row, head, slots, [0, to], 1.0, keys);
            let values = matrix(call.slot(row, head, slots + 1), [to, d_head], call.width());
            for query in 0..slots {
                call.turned::<FMA>(row, head, query, [from, to], call.scale(), queries);
                call.weigh::<FMA>(row, head, [from, to], queries, keys, weights);
                let (n, n_keys) = (to - from, length + to);
                let start = (head * slots + query) * d_head;
                let mut answers = |weights, values, add| {
                    let out = matrix_mut(&mut out[start..], [n, d_head], call.out_width());
                    multiply(out, weights, values, add);
                };
                answers(matrix(&weights[length..], [n, to], n_keys), values, false);
                answers(
                    matrix(weights, [n, length], n_keys),
                    call.seen(call.prefix_values, row, head),
                    true,
                );
            }
        }
    }
}

/// The gradients from one key head of one row.
struct RowGradient {
    /// `[tokens, queries_per_key + 2, d_head]`
    slots: Vec<f32>,
    /// `[length, d_head]`
    prefix_keys: Vec<f32>,
    prefix_values: Vec<f32>,
}

struct BackwardPass<'a> {
    call: Call<'a>,
    dy: &'a [f32],
    row: usize,
    head: usize,
    scratch: &'a mut Scratch,
    out: &'a mut RowGradient,
}

impl Kernel for BackwardPass<'_> {
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Self { call, dy, row, head, scratch, out } = self;
        let Scratch { queries, keys, weights, dscores, dturned } = scratch;
        let (tokens, d_head, slots, length) =
            (call.tokens, call.d_head, call.queries_per_key, call.lengths[call.group(row)]);
        let out_width = (slots + 2) * d_head;
        let seen = [call.prefix_keys, call.prefix_values].map(|all| call.seen(all, row, head));
        let values = call.slot(row, head, slots + 1);
        call.turned::<FMA>(row, head, slots, [0, tokens], 1.0, keys);
        let mut dkeys = vec![0.0; tokens * d_head]; // rotated
        for query in 0..slots {
            for from in (0..tokens).step_by(BLOCK) {
                let to = tokens.min(from + BLOCK);
                let (n, n_keys) = (to - from, length + to);
                call.turned::<FMA>(row, head, query, [from, to], call.scale(), queries);
                call.weigh::<FMA>(row, head, [from, to], queries, keys, weights);
                let dy = &dy
                    [(row * tokens + from) * call.out_width() + (head * slots + query) * d_head..];
                let dy = matrix(dy, [n, d_head], call.out_width());

                let [seen_weights, own_weights] = parts(weights, n, length, to);
                let own_values = matrix(values, [to, d_head], call.width());
                let own_keys = matrix(keys, [to, d_head], d_head);
                multiply(
                    matrix_mut(&mut out.slots[(slots + 1) * d_head..], [to, d_head], out_width),
                    own_weights.transpose(),
                    dy,
                    true,
                );
                multiply(
                    matrix_mut(&mut out.prefix_values, [length, d_head], d_head),
                    seen_weights.transpose(),
                    dy,
                    true,
                );

                dscores.clear();
                dscores.resize(n * n_keys, 0.0);
                multiply(matrix_mut(dscores, [n, length], n_keys), dy, seen[1].transpose(), false);
                multiply(
                    matrix_mut(&mut dscores[length..], [n, to], n_keys),
                    dy,
                    own_values.transpose(),
                    false,
                );
                for (dscores, weights) in
                    dscores.chunks_exact_mut(n_keys).zip(weights.chunks_exact(n_keys))
                {
                    let shared = dot::<FMA>(weights, dscores);
                    for (dscore, weight) in dscores.iter_mut().zip(weights) {
                        *dscore = weight * (*dscore - shared);
                    }
                }

                let [dseen, down] = parts(dscores, n, length, to);
                let turned_queries = matrix(queries, [n, d_head], d_head);
                multiply(
                    matrix_mut(&mut out.prefix_keys, [length, d_head], d_head),
                    dseen.transpose(),
                    turned_queries,
                    true,
                );
                multiply(
                    matrix_mut(&mut dkeys, [to, d_head], d_head),
                    down.transpose(),
                    turned_queries,
                    true,
                );
                dturned.clear();
                dturned.resize(n * d_head, 0.0);
                multiply(matrix_mut(dturned, [n, d_head], d_head), down, own_keys, false);
                multiply(matrix_mut(dturned, [n, d_head], d_head), dseen, seen[0], true);
                turn_back::<FMA>(
                    &call,
                    row,
                    dturned,
                    call.scale(),
                    from,
                    &mut out.slots[query * d_head..],
                    out_width,
                );
            }
        }
        turn_back::<FMA>(&call, row, &dkeys, 1.0, 0, &mut out.slots[slots * d_head..], out_width);
    }
}

/// The weights on the prefix, and those on the row's own tokens.
fn parts(weights: &[f32], n: usize, length: usize, to: usize) -> [MatRef<'_, f32>; 2] {
    [matrix(weights, [n, length], length + to), matrix(&weights[length..], [n, to], length + to)]
}

/// Maps gradients of rotated vectors back to the vectors, written to the tokens from `from` on.
#[inline(always)]
fn turn_back<const FMA: bool>(
    call: &Call<'_>,
    row: usize,
    dturned: &[f32],
    scale: f32,
    from: usize,
    out: &mut [f32],
    stride: usize,
) {
    let (d_head, half) = (call.d_head, call.d_head / 2);
    let [cos, sin] = call.angles(row);
    for (at, dturned) in dturned.chunks_exact(d_head).enumerate() {
        let token = from + at;
        let (first, second) = dturned.split_at(half);
        let (out_first, out_second) = out[token * stride..][..d_head].split_at_mut(half);
        let (cos, sin) = (&cos[token * half..][..half], &sin[token * half..][..half]);
        for j in 0..half {
            out_first[j] = scale * mul_add::<FMA>(first[j], cos[j], second[j] * sin[j]);
            out_second[j] = scale * (second[j] * cos[j] - first[j] * sin[j]);
        }
    }
}

impl CausalAttentionOps for Flex {
    fn fused_causal_attention(
        qkv: FlexTensor,
        prefix_keys: FlexTensor,
        prefix_values: FlexTensor,
        cos: FlexTensor,
        sin: FlexTensor,
        lengths: Vec<usize>,
        heads: AttentionHeads,
    ) -> FlexTensor {
        if !all_f32(&[&qkv, &prefix_keys, &prefix_values, &cos, &sin]) {
            return reference::causal_attention::<Self>(
                qkv,
                prefix_keys,
                prefix_values,
                cos,
                sin,
                &lengths,
                heads,
            );
        }
        Call::with([qkv, prefix_keys, prefix_values, cos, sin], &lengths, heads, |call| {
            let (tokens, width) = (call.tokens, call.out_width());
            let mut out = vec![0.0; call.batch * tokens * width];
            out.par_chunks_mut((tokens * width).max(1)).enumerate().for_each(|(row, out)| {
                out.par_chunks_mut(BLOCK * width).enumerate().for_each_init(
                    Scratch::default,
                    |scratch, (block, out)| {
                        let range = [block * BLOCK, tokens.min((block + 1) * BLOCK)];
                        dispatch(Forward { call, row, range, out, scratch });
                    },
                );
            });
            tensor_of(out, [call.batch, tokens, width])
        })
    }

    fn fused_causal_attention_backward(
        qkv: FlexTensor,
        prefix_keys: FlexTensor,
        prefix_values: FlexTensor,
        cos: FlexTensor,
        sin: FlexTensor,
        lengths: Vec<usize>,
        heads: AttentionHeads,
        dy: FlexTensor,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        if !all_f32(&[&qkv, &prefix_keys, &prefix_values, &cos, &sin, &dy]) {
            return reference::causal_attention_backward::<Self>(
                qkv,
                prefix_keys,
                prefix_values,
                cos,
                sin,
                &lengths,
                heads,
                dy,
            );
        }
        let shapes = [qkv.shape(), prefix_keys.shape(), prefix_values.shape()];
        let dy = dy.to_contiguous();
        let dy = floats(&dy);
        Call::with([qkv, prefix_keys, prefix_values, cos, sin], &lengths, heads, |call| {
            let Call { batch, tokens, kv_heads, queries_per_key, d_head, .. } = call;
            let per_head = |scratch: &mut Scratch, map: usize| {
                let (row, head) = (map / kv_heads, map % kv_heads);
                let length = call.lengths[call.group(row)];
                let mut out = RowGradient {
                    slots: vec![0.0; tokens * (queries_per_key + 2) * d_head],
                    prefix_keys: vec![0.0; length * d_head],
                    prefix_values: vec![0.0; length * d_head],
                };
                dispatch(BackwardPass { call, dy, row, head, scratch, out: &mut out });
                out
            };
            let gradients: Vec<RowGradient> = (0..batch * kv_heads)
                .into_par_iter()
                .map_init(Scratch::default, per_head)
                .collect();

            let slots_width = (queries_per_key + 2) * d_head;
            let dqkv = interleaved(&gradients, |gradient| &gradient.slots, kv_heads, slots_width);
            let dprefix_keys = sum_over_rows(&call, &gradients, |gradient| &gradient.prefix_keys);
            let dprefix_values =
                sum_over_rows(&call, &gradients, |gradient| &gradient.prefix_values);
            let [qkv, keys, values] = shapes;
            (tensor_of(dqkv, qkv), tensor_of(dprefix_keys, keys), tensor_of(dprefix_values, values))
        })
    }
}

/// Sums the gradients of the rows of each group, in the order of the rows: `[groups · kv_heads,
/// prefix, d_head]`.
fn sum_over_rows(
    call: &Call<'_>,
    gradients: &[RowGradient],
    part: impl Fn(&RowGradient) -> &[f32] + Sync,
) -> Vec<f32> {
    let rows = call.batch / call.lengths.len();
    let mut sums = vec![0.0; call.lengths.len() * call.kv_heads * call.prefix * call.d_head];
    sums.par_chunks_mut((call.prefix * call.d_head).max(1)).enumerate().for_each(|(map, sums)| {
        let (group, head) = (map / call.kv_heads, map % call.kv_heads);
        for row in group * rows..(group + 1) * rows {
            let part = part(&gradients[row * call.kv_heads + head]);
            add_scaled::<false>(&mut sums[..part.len()], 1.0, part);
        }
    });
    sums
}
