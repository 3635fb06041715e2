//! Reference implementation of attention over a cache, in operators that every backend has.

use burn::backend::{Backend, TensorMetadata, get_device_settings, tensor::FloatTensor};
use burn::tensor::{Slice, TensorData};

use super::CachedRow;
use crate::AttentionHeads;

/// The logit bias of masked keys: its `exp` is 0, and it is finite. (In half precision it is −∞,
/// which is also correct, because a token always attends to itself.)
const CLOSED: f32 = -1e9;

fn slice<B: Backend>(x: FloatTensor<B>, dim: usize, start: usize, len: usize) -> FloatTensor<B> {
    let mut slices = vec![Slice::full(); dim];
    slices.push(Slice::from(start..start + len));
    B::float_slice(x, &slices)
}

#[expect(clippy::too_many_arguments, reason = "the operator's inputs")]
pub(super) fn cached_attention<B: Backend>(
    queries: FloatTensor<B>,
    prefix_keys: FloatTensor<B>,
    prefix_values: FloatTensor<B>,
    keys: FloatTensor<B>,
    values: FloatTensor<B>,
    lengths: &[usize],
    rows: &[CachedRow],
    heads: AttentionHeads,
) -> FloatTensor<B> {
    let AttentionHeads { kv_heads, queries_per_key, .. } = heads;
    let (shape, prefix, d_head) = (queries.shape(), prefix_keys.shape()[1], keys.shape()[3]);
    let (batch, tokens, groups) = (shape[0], shape[1], lengths.len());
    let own = rows.iter().map(|row| row.past + tokens).max().unwrap_or(0);
    let queries =
        B::float_reshape(queries, [batch, tokens, kv_heads, queries_per_key, d_head].into());
    let queries = B::float_permute(queries, &[0, 2, 3, 1, 4]); // [batch, kv_heads, queries_per_key, tokens, d_head]
    let queries =
        B::float_reshape(queries, [batch, kv_heads, queries_per_key * tokens, d_head].into());

    // A copy of its group's prefix for each row, followed by the row's own entries.
    let int_dtype = get_device_settings::<B>(&queries.device()).int_dtype;
    let group: Vec<i64> = rows.iter().map(|row| row.group as i64).collect();
    let group = B::int_from_data(
        TensorData::new(group, [batch]).convert_dtype(int_dtype.into()),
        &queries.device(),
    );
    let of_rows = |shared: FloatTensor<B>, own_store: FloatTensor<B>| {
        let shared = B::float_reshape(shared, [groups, kv_heads * prefix * d_head].into());
        let shared = B::float_select(shared, 0, group.clone());
        let shared = B::float_reshape(shared, [batch, kv_heads, prefix, d_head].into());
        B::float_cat(vec![shared, slice::<B>(own_store, 2, 0, own)], 2)
    };
    let (keys, values) = (of_rows(prefix_keys, keys), of_rows(prefix_values, values));
    let scores = B::float_matmul(queries, B::float_swap_dims(keys, 2, 3));
    let scores =
        B::float_reshape(scores, [batch, kv_heads * queries_per_key, tokens, prefix + own].into());
    let open = |is_open: bool| if is_open { 0.0 } else { CLOSED };
    let mut bias = Vec::with_capacity(batch * tokens * (prefix + own));
    for &CachedRow { group, past } in rows {
        let length = lengths[group];
        for token in 0..tokens {
            let first = heads.first_seen(length + past + token);
            bias.extend((0..prefix).map(|key| open(key < length && key >= first)));
            bias.extend((0..own).map(|key| open(key <= past + token && length + key >= first)));
        }
    }
    let bias = B::float_from_data(
        TensorData::new(bias, [batch, 1, tokens, prefix + own]),
        &scores.device(),
    );
    let scores = B::float_add(scores.clone(), B::float_cast(bias, scores.dtype().into()));
    let e = B::float_exp(B::float_sub(scores.clone(), B::float_max_dim(scores, 3)));
    let weights = B::float_div(e.clone(), B::float_sum_dim(e, 3));
    let weights =
        B::float_reshape(weights, [batch, kv_heads, queries_per_key * tokens, prefix + own].into());
    let y = B::float_matmul(weights, values);
    let y = B::float_reshape(y, [batch, kv_heads, queries_per_key, tokens, d_head].into());
    B::float_reshape(B::float_permute(y, &[0, 3, 1, 2, 4]), shape)
}
