//! Reference implementation of causal attention, in operators that every backend has.

use burn::backend::{Backend, TensorMetadata, tensor::FloatTensor};
use burn::tensor::{Slice, TensorData};

use super::AttentionHeads;

/// The logit bias of masked keys: its `exp` is 0, and it is finite. (In half precision it is −∞,
/// which is also correct, because a token always attends to itself.)
const CLOSED: f32 = -1e9;

/// Sizes of one call. In comments: `maps` = groups · kv_heads.
#[derive(Clone, Copy)]
struct Sizes {
    groups: usize,
    rows: usize,
    tokens: usize,
    kv_heads: usize,
    queries_per_key: usize,
    d_head: usize,
    prefix: usize,
    heads: AttentionHeads,
}

impl Sizes {
    fn maps(&self) -> usize {
        self.groups * self.kv_heads
    }

    /// The number of queries of one row and key head.
    fn queries(&self) -> usize {
        self.queries_per_key * self.tokens
    }
}

fn slice<B: Backend>(x: FloatTensor<B>, dim: usize, start: usize, len: usize) -> FloatTensor<B> {
    let mut slices = vec![Slice::full(); dim];
    slices.push(Slice::from(start..start + len));
    B::float_slice(x, &slices)
}

fn transposed<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let last = x.shape().num_dims() - 1;
    B::float_swap_dims(x, last - 1, last)
}

/// Rotates the last dimension by the angles, forwards or backwards; `x` and the angles have the
/// same rank.
fn turned<B: Backend>(
    x: FloatTensor<B>,
    cos: &FloatTensor<B>,
    sin: &FloatTensor<B>,
    back: bool,
) -> FloatTensor<B> {
    let last = x.shape().num_dims() - 1;
    let half = x.shape()[last] / 2;
    let (a, b) = (slice::<B>(x.clone(), last, 0, half), slice::<B>(x, last, half, half));
    let sin = if back { B::float_neg(sin.clone()) } else { sin.clone() };
    let first =
        B::float_sub(B::float_mul(a.clone(), cos.clone()), B::float_mul(b.clone(), sin.clone()));
    let second = B::float_add(B::float_mul(b, cos.clone()), B::float_mul(a, sin));
    B::float_cat(vec![first, second], last)
}

/// The intermediate results that forward and backward pass share.
struct Pass<B: Backend> {
    sizes: Sizes,
    /// `[groups or 1, 1, 1, 1, tokens, d_head / 2]`
    cos: FloatTensor<B>,
    sin: FloatTensor<B>,
    /// Rotated and scaled, `[maps, rows · queries, d_head]`.
    queries: FloatTensor<B>,
    /// Rotated, `[maps · rows, tokens, d_head]`.
    keys: FloatTensor<B>,
    /// `[maps · rows, tokens, d_head]`
    values: FloatTensor<B>,
    /// `[maps, rows · queries, prefix + tokens]`
    weights: FloatTensor<B>,
}

impl<B: Backend> Pass<B> {
    fn new(
        qkv: FloatTensor<B>,
        prefix_keys: FloatTensor<B>,
        cos: FloatTensor<B>,
        sin: FloatTensor<B>,
        lengths: &[usize],
        heads: AttentionHeads,
    ) -> Self {
        let (shape, angles) = (qkv.shape(), cos.shape());
        let AttentionHeads { kv_heads, queries_per_key, .. } = heads;
        let (groups, tokens, d_head) = (lengths.len(), shape[1], 2 * angles[2]);
        let sizes = Sizes {
            groups,
            rows: shape[0] / groups,
            tokens,
            kv_heads,
            queries_per_key,
            d_head,
            prefix: prefix_keys.shape()[1],
            heads,
        };
        let Sizes { rows, prefix, .. } = sizes;
        let [cos, sin] = [cos, sin]
            .map(|angle| B::float_reshape(angle, [angles[0], 1, 1, 1, tokens, d_head / 2].into()));
        let qkv = B::float_reshape(
            qkv,
            [groups, rows, tokens, kv_heads, queries_per_key + 2, d_head].into(),
        );
        let qkv = B::float_permute(qkv, &[0, 3, 1, 4, 2, 5]); // [groups, kv_heads, rows, slots, tokens, d_head]
        let queries =
            turned::<B>(slice::<B>(qkv.clone(), 3, 0, queries_per_key), &cos, &sin, false);
        let queries = B::float_mul_scalar(queries, (1.0 / (d_head as f64).sqrt()).into());
        let queries =
            B::float_reshape(queries, [sizes.maps(), rows * sizes.queries(), d_head].into());
        let keys = turned::<B>(slice::<B>(qkv.clone(), 3, queries_per_key, 1), &cos, &sin, false);
        let values = slice::<B>(qkv, 3, queries_per_key + 1, 1);
        let [keys, values] = [keys, values]
            .map(|own| B::float_reshape(own, [sizes.maps() * rows, tokens, d_head].into()));

        let seen = B::float_matmul(queries.clone(), transposed::<B>(prefix_keys));
        let own = B::float_matmul(
            sizes.by_row::<B>(queries.clone(), d_head),
            transposed::<B>(keys.clone()),
        );
        let own = B::float_reshape(own, [sizes.maps(), rows * sizes.queries(), tokens].into());
        let scores = B::float_cat(vec![seen, own], 2);
        let scores = B::float_reshape(
            scores,
            [groups, kv_heads * rows * queries_per_key, tokens, prefix + tokens].into(),
        );
        let bias = B::float_from_data(
            TensorData::new(bias(sizes, lengths), [groups, 1, tokens, prefix + tokens]),
            &scores.device(),
        );
        let scores = B::float_add(scores.clone(), B::float_cast(bias, scores.dtype().into()));
        let e = B::float_exp(B::float_sub(scores.clone(), B::float_max_dim(scores, 3)));
        let weights = B::float_div(e.clone(), B::float_sum_dim(e, 3));
        let weights = B::float_reshape(
            weights,
            [sizes.maps(), rows * sizes.queries(), prefix + tokens].into(),
        );
        Self { sizes, cos, sin, queries, keys, values, weights }
    }
}

impl Sizes {
    /// `[maps, rows · queries, width]` → `[maps · rows, queries, width]`
    fn by_row<B: Backend>(&self, x: FloatTensor<B>, width: usize) -> FloatTensor<B> {
        B::float_reshape(x, [self.maps() * self.rows, self.queries(), width].into())
    }

    /// The part of the prefix, `[maps, rows · queries, prefix]`, and that of the row, `[maps ·
    /// rows, queries, tokens]`.
    fn split<B: Backend>(&self, x: FloatTensor<B>) -> [FloatTensor<B>; 2] {
        let own = slice::<B>(x.clone(), 2, self.prefix, self.tokens);
        [slice::<B>(x, 2, 0, self.prefix), self.by_row::<B>(own, self.tokens)]
    }
}

/// `[groups, tokens, prefix + tokens]`: 0 where a token may attend.
fn bias(sizes: Sizes, lengths: &[usize]) -> Vec<f32> {
    let Sizes { tokens, prefix, heads, .. } = sizes;
    let open = |is_open: bool| if is_open { 0.0 } else { CLOSED };
    let mut bias = Vec::with_capacity(lengths.len() * tokens * (prefix + tokens));
    for &length in lengths {
        for token in 0..tokens {
            let first = heads.first_seen(length + token);
            bias.extend((0..prefix).map(|key| open(key < length && key >= first)));
            bias.extend((0..tokens).map(|key| open(key <= token && length + key >= first)));
        }
    }
    bias
}

pub(super) fn causal_attention<B: Backend>(
    qkv: FloatTensor<B>,
    prefix_keys: FloatTensor<B>,
    prefix_values: FloatTensor<B>,
    cos: FloatTensor<B>,
    sin: FloatTensor<B>,
    lengths: &[usize],
    heads: AttentionHeads,
) -> FloatTensor<B> {
    let pass = Pass::<B>::new(qkv, prefix_keys, cos, sin, lengths, heads);
    let Sizes { groups, rows, tokens, kv_heads, queries_per_key, d_head, .. } = pass.sizes;
    let [seen, own] = pass.sizes.split::<B>(pass.weights);
    let seen = B::float_matmul(seen, prefix_values);
    let own = B::float_reshape(B::float_matmul(own, pass.values), seen.shape());
    let y = B::float_reshape(
        B::float_add(seen, own),
        [groups, kv_heads, rows, queries_per_key, tokens, d_head].into(),
    );
    let y = B::float_permute(y, &[0, 2, 4, 1, 3, 5]);
    B::float_reshape(y, [groups * rows, tokens, kv_heads * queries_per_key * d_head].into())
}

#[expect(clippy::too_many_arguments, reason = "the operator's inputs and one gradient")]
pub(super) fn causal_attention_backward<B: Backend>(
    qkv: FloatTensor<B>,
    prefix_keys: FloatTensor<B>,
    prefix_values: FloatTensor<B>,
    cos: FloatTensor<B>,
    sin: FloatTensor<B>,
    lengths: &[usize],
    heads: AttentionHeads,
    dy: FloatTensor<B>,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let pass = Pass::<B>::new(qkv, prefix_keys.clone(), cos, sin, lengths, heads);
    let sizes = pass.sizes;
    let Sizes { groups, rows, tokens, kv_heads, queries_per_key, d_head, .. } = sizes;
    let dy = B::float_reshape(dy, [groups, rows, tokens, kv_heads, queries_per_key, d_head].into());
    let dy = B::float_permute(dy, &[0, 3, 1, 4, 2, 5]);
    let dy = B::float_reshape(dy, [sizes.maps(), rows * sizes.queries(), d_head].into());
    let dy_of_rows = sizes.by_row::<B>(dy.clone(), d_head);

    let along_prefix = B::float_matmul(dy.clone(), transposed::<B>(prefix_values));
    let along_own = B::float_matmul(dy_of_rows.clone(), transposed::<B>(pass.values));
    let along_own =
        B::float_reshape(along_own, [sizes.maps(), rows * sizes.queries(), tokens].into());
    let dweights = B::float_cat(vec![along_prefix, along_own], 2);
    let shared = B::float_sum_dim(B::float_mul(pass.weights.clone(), dweights.clone()), 2);
    let dscores = B::float_mul(pass.weights.clone(), B::float_sub(dweights, shared));

    let [seen, own] = sizes.split::<B>(pass.weights);
    let dvalues = B::float_matmul(transposed::<B>(own), dy_of_rows);
    let dprefix_values = B::float_matmul(transposed::<B>(seen), dy);
    let [dseen, down] = sizes.split::<B>(dscores);
    let dprefix_keys = B::float_matmul(transposed::<B>(dseen.clone()), pass.queries.clone());
    let dkeys =
        B::float_matmul(transposed::<B>(down.clone()), sizes.by_row::<B>(pass.queries, d_head));
    let dqueries = B::float_matmul(dseen, prefix_keys);
    let dqueries = B::float_add(
        B::float_reshape(B::float_matmul(down, pass.keys), dqueries.shape()),
        dqueries,
    );
    let dqueries = B::float_mul_scalar(dqueries, (1.0 / (d_head as f64).sqrt()).into());

    let slots = |x: FloatTensor<B>, slots: usize| {
        B::float_reshape(x, [groups, kv_heads, rows, slots, tokens, d_head].into())
    };
    let dqueries = turned::<B>(slots(dqueries, queries_per_key), &pass.cos, &pass.sin, true);
    let dkeys = turned::<B>(slots(dkeys, 1), &pass.cos, &pass.sin, true);
    let dqkv = B::float_cat(vec![dqueries, dkeys, slots(dvalues, 1)], 3);
    let dqkv = B::float_permute(dqkv, &[0, 2, 4, 1, 3, 5]);
    let dqkv = B::float_reshape(
        dqkv,
        [groups * rows, tokens, kv_heads * (queries_per_key + 2) * d_head].into(),
    );
    (dqkv, dprefix_keys, dprefix_values)
}
