//! Causal self-attention of rows of tokens that share prefixes, with rotary positions and grouped
//! queries.
//!
//! Several texts about one image share the image's tokens, whose keys and values are given once per
//! group of rows. The row's own projections are used in their memory layout, so nothing is
//! permuted, copied or padded, and scores never leave the task that computes them.
//!
//! Sources: grouped queries, Ainslie et al. (arXiv 2305.13245); rotary positions, Su et al. (arXiv
//! 2104.09864), in the half-split form of Llama and InternLM2.

mod fast;
mod gradient;
mod reference;

use burn::backend::{Backend, Dispatch, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;

/// The division of the projections into heads, and the attention window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttentionHeads {
    /// Heads of keys and values.
    pub kv_heads: usize,
    /// Query heads that share one of them.
    pub queries_per_key: usize,
    /// The number of tokens that a token attends to, itself included; without a window all before
    /// it. Source: Jiang et al., Mistral 7B (arXiv 2310.06825).
    pub window: Option<usize>,
}

impl AttentionHeads {
    /// The first position that a token at `place` attends to; both count the prefix.
    pub(crate) fn first_seen(&self, place: usize) -> usize {
        self.window.map_or(0, |window| (place + 1).saturating_sub(window))
    }
}

/// Causal attention as a backend operator. The default bodies define the semantics; a backend may
/// override them with faster ones.
#[backend_extension(Flex, LibTorch: cfg(feature = "libtorch"), Cube: cfg(feature = "cuda"), Autodiff)]
pub trait CausalAttentionOps: Backend {
    /// See [`causal_attention`](crate::causal_attention).
    fn fused_causal_attention(
        qkv: FloatTensor<Self>,
        prefix_keys: FloatTensor<Self>,
        prefix_values: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
        lengths: Vec<usize>,
        heads: AttentionHeads,
    ) -> FloatTensor<Self> {
        reference::causal_attention::<Self>(
            qkv,
            prefix_keys,
            prefix_values,
            cos,
            sin,
            &lengths,
            heads,
        )
    }

    /// Gradients of [`causal_attention`](crate::causal_attention) with respect to `qkv`,
    /// `prefix_keys` and `prefix_values`.
    // `allow` and not `expect`, because the macro copies the attribute to impls that do not trigger
    // the lint.
    #[allow(clippy::too_many_arguments, reason = "the operator's inputs")]
    fn fused_causal_attention_backward(
        qkv: FloatTensor<Self>,
        prefix_keys: FloatTensor<Self>,
        prefix_values: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
        lengths: Vec<usize>,
        heads: AttentionHeads,
        dy: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        reference::causal_attention_backward::<Self>(
            qkv,
            prefix_keys,
            prefix_values,
            cos,
            sin,
            &lengths,
            heads,
            dy,
        )
    }
}

/// The shared prefix of a group of rows: keys with rotary positions applied, and values.
#[derive(Clone, Debug)]
pub struct AttentionPrefix<'a> {
    /// `[groups · kv_heads, prefix, d_head]`, right-padded.
    pub keys: Tensor<3>,
    /// As `keys`.
    pub values: Tensor<3>,
    /// The length of every group's prefix, without padding.
    pub lengths: &'a [usize],
}

/// Cosines and sines of the rotation angles of queries and keys.
#[derive(Clone, Debug)]
pub struct RotaryAngles {
    /// `[groups, tokens, d_head / 2]`; a single group if all have the same angles.
    pub cos: Tensor<3>,
    /// As `cos`.
    pub sin: Tensor<3>,
}

/// `softmax(rotate(q) · [prefix keys, rotate(k)]ᵀ / √d_head) · [prefix values, v]`, where a token
/// attends to its group's prefix without padding, the earlier tokens of its own row, and itself, as
/// far back as the window of `heads` reaches.
///
/// `rotate` pairs component `j` with `j + d_head / 2`: `(a, b) → (a cos - b sin, b cos + a sin)`.
///
/// # Shapes
///
/// - `qkv`: `[groups · rows, tokens, kv_heads · (queries_per_key + 2) · d_head]`: for each key head
///   its queries, then its key, then its value
/// - output: `[groups · rows, tokens, kv_heads · queries_per_key · d_head]`
///
/// # Panics
///
/// If the shapes are inconsistent.
pub fn causal_attention(
    qkv: Tensor<3>,
    heads: AttentionHeads,
    prefix: Option<AttentionPrefix<'_>>,
    angles: RotaryAngles,
) -> Tensor<3> {
    let AttentionHeads { kv_heads, queries_per_key, window } = heads;
    assert!(window != Some(0), "causal_attention: a window of no token");
    let [batch, tokens, width] = qkv.dims();
    let d_head = 2 * angles.cos.dims()[2];
    assert_eq!(
        width,
        kv_heads * (queries_per_key + 2) * d_head,
        "causal_attention: width of the projections"
    );
    assert_eq!(angles.cos.dims(), angles.sin.dims(), "causal_attention: cosines and sines");
    let (keys, values, lengths) = match prefix {
        Some(AttentionPrefix { keys, values, lengths }) => (keys, values, lengths.to_vec()),
        None => {
            // Operators have no optional inputs, so a masked key stands for an absent prefix.
            let unseen = Tensor::<3>::zeros([kv_heads, 1, d_head], (&qkv.device(), qkv.dtype()));
            (unseen.clone(), unseen, vec![0])
        }
    };
    let groups = lengths.len();
    let prefix = keys.dims()[1];
    assert!(
        groups > 0 && batch.is_multiple_of(groups),
        "causal_attention: {batch} rows in {groups} groups"
    );
    assert_eq!(
        keys.dims(),
        [groups * kv_heads, prefix, d_head],
        "causal_attention: keys of the prefix"
    );
    assert_eq!(values.dims(), keys.dims(), "causal_attention: values of the prefix");
    assert!(
        lengths.iter().all(|&length| length <= prefix),
        "causal_attention: lengths {lengths:?} of {prefix} keys"
    );
    let angle_groups = angles.cos.dims()[0];
    assert!(
        angle_groups == 1 || angle_groups == groups,
        "causal_attention: angles of {angle_groups} of {groups} groups"
    );
    assert_eq!(angles.cos.dims()[1], tokens, "causal_attention: angles of every token");
    let [qkv, keys, values, cos, sin] =
        [qkv, keys, values, angles.cos, angles.sin].map(Tensor::into_dispatch);
    Tensor::from_dispatch(Dispatch::fused_causal_attention(
        qkv, keys, values, cos, sin, lengths, heads,
    ))
}

#[cfg(test)]
mod tests;
