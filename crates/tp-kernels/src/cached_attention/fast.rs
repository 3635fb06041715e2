//! Attention over a cache on the CPU: each task handles one key head of one row, and reads that
//! head's entries in order.

use burn::backend::{TensorMetadata, flex::Flex, flex::FlexTensor};
use rayon::prelude::*;

use super::{CachedAttentionOps, CachedRow, reference};
use crate::AttentionHeads;
use crate::flex_buffer::{all_f32, floats, tensor_of};
use crate::matrix::{matrix, matrix_mut, multiply};
use crate::simd::{Kernel, dispatch};
use crate::vector_math::{add_scaled, dot, exp_in_place, maximum};

/// The number of tokens from which matrix products are faster than processing tokens one by one.
const MANY_TOKENS: usize = 4;

/// The inputs of one call, as slices.
#[derive(Clone, Copy)]
struct Call<'a> {
    queries: &'a [f32],
    prefix_keys: &'a [f32],
    prefix_values: &'a [f32],
    keys: &'a [f32],
    values: &'a [f32],
    lengths: &'a [usize],
    rows: &'a [CachedRow],
    tokens: usize,
    heads: AttentionHeads,
    kv_heads: usize,
    queries_per_key: usize,
    d_head: usize,
    prefix: usize,
    room: usize,
}

impl<'a> Call<'a> {
    /// The size of one token's queries.
    fn width(&self) -> usize {
        self.kv_heads * self.queries_per_key * self.d_head
    }

    /// One query of one token.
    fn query(&self, row: usize, token: usize, head: usize) -> &'a [f32] {
        &self.queries[(row * self.tokens + token) * self.width() + head * self.d_head..]
            [..self.d_head]
    }

    /// The prefix of one key head of a row's group: keys or values, `[length, d_head]`.
    fn seen(&self, all: &'a [f32], row: usize, kv_head: usize) -> &'a [f32] {
        let group = self.rows[row].group;
        &all[(group * self.kv_heads + kv_head) * self.prefix * self.d_head..]
            [..self.lengths[group] * self.d_head]
    }

    /// The first `n` own entries of one key head of a row: keys or values, `[n, d_head]`.
    fn own(&self, all: &'a [f32], row: usize, kv_head: usize, n: usize) -> &'a [f32] {
        &all[(row * self.kv_heads + kv_head) * self.room * self.d_head..][..n * self.d_head]
    }
}

/// The attention output of the queries of one key head of one row: `[tokens, queries_per_key,
/// d_head]`.
struct HeadOfRow<'a> {
    call: Call<'a>,
    row: usize,
    kv_head: usize,
    out: &'a mut [f32],
    weights: &'a mut Vec<f32>,
}

impl Kernel for HeadOfRow<'_> {
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        if self.call.tokens >= MANY_TOKENS {
            self.all_tokens::<FMA>()
        } else {
            self.token_by_token::<FMA>()
        }
    }
}

impl HeadOfRow<'_> {
    #[inline(always)]
    fn token_by_token<const FMA: bool>(self) {
        let Self { call, row, kv_head, out, weights } = self;
        let d_head = call.d_head;
        for (at, out) in out.chunks_exact_mut(d_head).enumerate() {
            let (token, query) = (at / call.queries_per_key, at % call.queries_per_key);
            let query = call.query(row, token, kv_head * call.queries_per_key + query);
            let n = call.rows[row].past + token + 1;
            let (seen_keys, own_keys) =
                (call.seen(call.prefix_keys, row, kv_head), call.own(call.keys, row, kv_head, n));
            let (seen_values, own_values) = (
                call.seen(call.prefix_values, row, kv_head),
                call.own(call.values, row, kv_head, n),
            );
            // What lies before the window is neither read nor weighed.
            let all_seen = seen_keys.len() / d_head;
            let first = call.heads.first_seen(all_seen + n - 1);
            let (skip_seen, skip_own) = (first.min(all_seen), first.saturating_sub(all_seen));
            let (seen_keys, seen_values) =
                (&seen_keys[skip_seen * d_head..], &seen_values[skip_seen * d_head..]);
            let (own_keys, own_values) =
                (&own_keys[skip_own * d_head..], &own_values[skip_own * d_head..]);
            let length = all_seen - skip_seen;
            weights.clear();
            weights.resize(length + n - skip_own, 0.0);
            // Plain loops are required: a closure called by an iterator adapter is not compiled for
            // the caller's instruction set, and every fused multiply-add in it becomes a call into
            // the math library.
            let (of_seen, of_own) = weights.split_at_mut(length);
            for (keys, weights) in [(seen_keys, of_seen), (own_keys, of_own)] {
                for (key, weight) in keys.chunks_exact(d_head).zip(weights) {
                    *weight = dot::<FMA>(query, key);
                }
            }
            let highest = maximum(weights);
            let total = exp_in_place::<FMA>(weights, highest);
            let (of_seen, of_own) = weights.split_at(length);
            for (values, weights) in [(seen_values, of_seen), (own_values, of_own)] {
                for (value, weight) in values.chunks_exact(d_head).zip(weights) {
                    add_scaled::<FMA>(out, weight / total, value);
                }
            }
        }
    }

    #[inline(always)]
    fn all_tokens<const FMA: bool>(self) {
        let Self { call, row, kv_head, out, weights } = self;
        let Call { tokens, queries_per_key, d_head, .. } = call;
        let CachedRow { group, past } = call.rows[row];
        let length = call.lengths[group];
        let (n, n_keys) = (past + tokens, length + past + tokens);
        let entries = |all, n| matrix(all, [n, d_head], d_head);
        for query in 0..queries_per_key {
            let start = row * tokens * call.width() + (kv_head * queries_per_key + query) * d_head;
            let queries = matrix(&call.queries[start..], [tokens, d_head], call.width());
            weights.clear();
            weights.resize(tokens * n_keys, 0.0);
            let (seen, own) = (
                entries(call.seen(call.prefix_keys, row, kv_head), length),
                entries(call.own(call.keys, row, kv_head, n), n),
            );
            multiply(
                matrix_mut(weights, [tokens, length], n_keys),
                queries,
                seen.transpose(),
                false,
            );
            multiply(
                matrix_mut(&mut weights[length..], [tokens, n], n_keys),
                queries,
                own.transpose(),
                false,
            );
            for (token, weights) in weights.chunks_exact_mut(n_keys).enumerate() {
                let place = length + past + token;
                let (open, later) = weights.split_at_mut(place + 1);
                let (earlier, open) = open.split_at_mut(call.heads.first_seen(place));
                let highest = maximum(open);
                let total = exp_in_place::<FMA>(open, highest);
                open.iter_mut().for_each(|weight| *weight /= total);
                earlier.fill(0.0);
                later.fill(0.0);
            }
            let (seen, own) = (
                entries(call.seen(call.prefix_values, row, kv_head), length),
                entries(call.own(call.values, row, kv_head, n), n),
            );
            let stride = queries_per_key * d_head;
            let mut answers = |weights, values, add| {
                multiply(
                    matrix_mut(&mut out[query * d_head..], [tokens, d_head], stride),
                    weights,
                    values,
                    add,
                )
            };
            answers(matrix(&weights[length..], [tokens, n], n_keys), own, false);
            answers(matrix(weights, [tokens, length], n_keys), seen, true);
        }
    }
}

impl CachedAttentionOps for Flex {
    fn fused_cached_attention(
        queries: FlexTensor,
        prefix_keys: FlexTensor,
        prefix_values: FlexTensor,
        keys: FlexTensor,
        values: FlexTensor,
        lengths: Vec<usize>,
        rows: Vec<CachedRow>,
        heads: AttentionHeads,
    ) -> FlexTensor {
        if !all_f32(&[&queries, &prefix_keys, &prefix_values, &keys, &values]) {
            return reference::cached_attention::<Self>(
                queries,
                prefix_keys,
                prefix_values,
                keys,
                values,
                &lengths,
                &rows,
                heads,
            );
        }
        let (shape, prefix, store) = (queries.shape(), prefix_keys.shape()[1], keys.shape());
        let tensors = [queries, prefix_keys, prefix_values, keys, values]
            .map(|tensor| tensor.to_contiguous());
        let [queries, prefix_keys, prefix_values, keys, values] = tensors.each_ref().map(floats);
        let AttentionHeads { kv_heads, queries_per_key, .. } = heads;
        let call = Call {
            queries,
            prefix_keys,
            prefix_values,
            keys,
            values,
            lengths: &lengths,
            rows: &rows,
            tokens: shape[1],
            heads,
            kv_heads,
            queries_per_key,
            d_head: store[3],
            prefix,
            room: store[2],
        };
        let of_head = call.tokens * queries_per_key * call.d_head;
        let mut heads_of_rows = vec![0.0; rows.len() * kv_heads * of_head];
        heads_of_rows.par_chunks_mut(of_head.max(1)).enumerate().for_each_init(
            Vec::new,
            |weights, (at, out)| {
                dispatch(HeadOfRow {
                    call,
                    row: at / kv_heads,
                    kv_head: at % kv_heads,
                    out,
                    weights,
                });
            },
        );
        if call.tokens == 1 {
            return tensor_of(heads_of_rows, shape); // the heads are already contiguous
        }
        let maps: Vec<&[f32]> = heads_of_rows.chunks_exact(of_head).collect();
        let out = crate::flex_buffer::interleaved(
            &maps,
            |map| map,
            kv_heads,
            queries_per_key * call.d_head,
        );
        tensor_of(out, shape)
    }
}
