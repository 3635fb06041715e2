//! Attention of new tokens over a shared prefix and over the earlier tokens of each row: the
//! decoding step.
//!
//! Keys and values of earlier tokens stay in place, in a preallocated store; nothing is copied or
//! repeated, so the cost of a step is that of reading them. There are no gradients, because
//! generation uses frozen weights.

mod fast;
mod reference;

use burn::backend::{
    Autodiff, AutodiffBackend, Backend, Dispatch,
    autodiff::checkpoint::strategy::CheckpointStrategy, backend_extension, tensor::FloatTensor,
};
use burn::tensor::Tensor;

use crate::{AttentionHeads, AttentionPrefix};

/// The state of a row before its new tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CachedRow {
    /// The group whose prefix it continues.
    pub group: usize,
    /// The number of entries in its own store; those of the new tokens are written after them.
    pub past: usize,
}

/// Attention over a cache as a backend operator. The default bodies define the semantics; a backend
/// may override them with faster ones.
#[backend_extension(Flex, LibTorch: cfg(feature = "libtorch"), Cube: cfg(feature = "cuda"), Autodiff)]
pub trait CachedAttentionOps: Backend {
    /// See [`cached_attention`](crate::cached_attention).
    // `allow` and not `expect`, because the macro copies the attribute to impls that do not trigger
    // the lint.
    #[allow(clippy::too_many_arguments, reason = "the operator's inputs")]
    fn fused_cached_attention(
        queries: FloatTensor<Self>,
        prefix_keys: FloatTensor<Self>,
        prefix_values: FloatTensor<Self>,
        keys: FloatTensor<Self>,
        values: FloatTensor<Self>,
        lengths: Vec<usize>,
        rows: Vec<CachedRow>,
        heads: AttentionHeads,
    ) -> FloatTensor<Self> {
        reference::cached_attention::<Self>(
            queries,
            prefix_keys,
            prefix_values,
            keys,
            values,
            &lengths,
            &rows,
            heads,
        )
    }
}

/// Computed outside the autodiff graph: the result is a constant.
impl<B: CachedAttentionOps, C: CheckpointStrategy> CachedAttentionOps for Autodiff<B, C> {
    fn fused_cached_attention(
        queries: FloatTensor<Self>,
        prefix_keys: FloatTensor<Self>,
        prefix_values: FloatTensor<Self>,
        keys: FloatTensor<Self>,
        values: FloatTensor<Self>,
        lengths: Vec<usize>,
        rows: Vec<CachedRow>,
        heads: AttentionHeads,
    ) -> FloatTensor<Self> {
        let [queries, prefix_keys, prefix_values, keys, values] =
            [queries, prefix_keys, prefix_values, keys, values]
                .map(|tensor| tensor.into_primitive());
        let y = B::fused_cached_attention(
            queries,
            prefix_keys,
            prefix_values,
            keys,
            values,
            lengths,
            rows,
            heads,
        );
        <Self as AutodiffBackend>::from_inner(y)
    }
}

/// `softmax(q · [prefix keys, keys]ᵀ) · [prefix values, values]`, where token `t` of row `r`
/// attends to its group's prefix without padding and to the first `past + t + 1` entries of its
/// row's store, as far back as the window of `heads` reaches.
///
/// Rotary positions are already applied to queries and keys, and queries are divided by `√d_head`.
///
/// # Shapes
///
/// - `queries`, output: `[rows, tokens, kv_heads · queries_per_key · d_head]`
/// - `keys`, `values`: `[rows, kv_heads, room, d_head]`
///
/// # Panics
///
/// If the shapes are inconsistent, a group does not exist, or the store has no room for the new
/// tokens.
pub fn cached_attention(
    queries: Tensor<3>,
    heads: AttentionHeads,
    prefix: Option<AttentionPrefix<'_>>,
    keys: Tensor<4>,
    values: Tensor<4>,
    rows: &[CachedRow],
) -> Tensor<3> {
    let AttentionHeads { kv_heads, queries_per_key, window } = heads;
    assert!(window != Some(0), "cached_attention: a window of no token");
    let [n_rows, tokens, width] = queries.dims();
    let [_, _, room, d_head] = keys.dims();
    assert_eq!(
        width,
        kv_heads * queries_per_key * d_head,
        "cached_attention: width of the queries"
    );
    assert_eq!(keys.dims(), [n_rows, kv_heads, room, d_head], "cached_attention: keys");
    assert_eq!(values.dims(), keys.dims(), "cached_attention: values");
    assert_eq!(rows.len(), n_rows, "cached_attention: rows");
    assert!(
        rows.iter().all(|row| row.past + tokens <= room),
        "cached_attention: {tokens} tokens in {rows:?} with room for {room}"
    );
    let (prefix_keys, prefix_values, lengths) = match prefix {
        Some(AttentionPrefix { keys, values, lengths }) => (keys, values, lengths.to_vec()),
        None => {
            // Operators have no optional inputs, so a masked key stands for an absent prefix.
            let unseen =
                Tensor::<3>::zeros([kv_heads, 1, d_head], (&queries.device(), queries.dtype()));
            (unseen.clone(), unseen, vec![0])
        }
    };
    let (groups, n_prefix) = (lengths.len(), prefix_keys.dims()[1]);
    assert!(
        rows.iter().all(|row| row.group < groups),
        "cached_attention: {rows:?} of {groups} groups"
    );
    assert_eq!(
        prefix_keys.dims(),
        [groups * kv_heads, n_prefix, d_head],
        "cached_attention: keys of the prefix"
    );
    assert_eq!(prefix_values.dims(), prefix_keys.dims(), "cached_attention: values of the prefix");
    assert!(
        lengths.iter().all(|&length| length <= n_prefix),
        "cached_attention: lengths {lengths:?} of {n_prefix} keys"
    );
    let [queries, prefix_keys, prefix_values] =
        [queries, prefix_keys, prefix_values].map(Tensor::into_dispatch);
    let [keys, values] = [keys, values].map(Tensor::into_dispatch);
    Tensor::from_dispatch(Dispatch::fused_cached_attention(
        queries,
        prefix_keys,
        prefix_values,
        keys,
        values,
        lengths,
        rows.to_vec(),
        heads,
    ))
}

#[cfg(test)]
mod tests;
