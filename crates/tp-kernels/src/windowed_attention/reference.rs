//! What windowed attention means, in operators that every backend has: windows are padded to the
//! largest, their cells gathered.

use burn::backend::{
    Backend, TensorMetadata, get_device_settings,
    tensor::{FloatTensor, IntTensor},
};
use burn::tensor::{IndexingUpdateOp, TensorData};

use super::Windows;

/// Closes what pads a window: `exp` of it is 0, and it stays finite in f16.
const CLOSED: f32 = -3e4;

/// Sizes of one call.
#[derive(Clone, Copy)]
struct Sizes {
    batch: usize,
    queries: usize,
    heads: usize,
    d_head: usize,
    /// Cells of the largest window.
    window: usize,
}

/// Everything that forward and backward pass both need.
struct Pass<B: Backend> {
    sizes: Sizes,
    /// Cell numbers, `[batch, queries · window, heads · d_head]`.
    index: IntTensor<B>,
    /// `[batch, queries, heads, 1, d_head]`, scaled.
    queries: FloatTensor<B>,
    /// `[batch, queries, heads, window, d_head]`
    keys: FloatTensor<B>,
    values: FloatTensor<B>,
    /// `[batch, queries, heads, 1, window]`
    weights: FloatTensor<B>,
}

impl<B: Backend> Pass<B> {
    fn new(
        queries: FloatTensor<B>,
        keys: FloatTensor<B>,
        values: FloatTensor<B>,
        windows: &Windows,
        heads: usize,
    ) -> Self {
        let shape = queries.shape();
        let sizes = Sizes {
            batch: shape[0],
            queries: shape[1],
            heads,
            d_head: shape[2] / heads,
            window: windows.largest(),
        };
        let Sizes { batch, queries: n_queries, d_head, window, .. } = sizes;
        let device = queries.device();
        let int_dtype = get_device_settings::<B>(&device).int_dtype;

        let (mut cells, mut bias) = (Vec::new(), Vec::new());
        for index in 0..windows.len() {
            let (own, own_bias) = windows.get(index);
            let padding = window - own.len();
            cells.extend(
                own.iter().map(|&cell| i64::from(cell)).chain(std::iter::repeat_n(0, padding)),
            );
            bias.extend(own_bias.iter().copied().chain(std::iter::repeat_n(CLOSED, padding)));
        }
        let index =
            TensorData::new(cells, [batch, n_queries * window, 1]).convert_dtype(int_dtype.into());
        let index = B::int_expand(
            B::int_from_data(index, &device),
            [batch, n_queries * window, heads * d_head].into(),
        );
        let bias =
            B::float_from_data(TensorData::new(bias, [batch, n_queries, 1, 1, window]), &device);
        let bias = B::float_cast(bias, queries.dtype().into());

        let gathered = |all: FloatTensor<B>| {
            let of_windows = B::float_gather(1, all, index.clone());
            let of_windows =
                B::float_reshape(of_windows, [batch, n_queries, window, heads, d_head].into());
            B::float_swap_dims(of_windows, 2, 3)
        };
        let (keys, values) = (gathered(keys), gathered(values));
        let queries = B::float_reshape(queries, [batch, n_queries, heads, 1, d_head].into());
        let queries = B::float_mul_scalar(queries, scale(sizes).into());
        let scores =
            B::float_add(B::float_matmul(queries.clone(), transposed::<B>(keys.clone())), bias);
        let e = B::float_exp(B::float_sub(scores.clone(), B::float_max_dim(scores, 4)));
        let weights = B::float_div(e.clone(), B::float_sum_dim(e, 4));
        Self { sizes, index, queries, keys, values, weights }
    }
}

fn scale(sizes: Sizes) -> f64 {
    1.0 / (sizes.d_head as f64).sqrt()
}

fn transposed<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    B::float_swap_dims(x, 3, 4)
}

pub(super) fn windowed_attention<B: Backend>(
    queries: FloatTensor<B>,
    keys: FloatTensor<B>,
    values: FloatTensor<B>,
    windows: &Windows,
    heads: usize,
) -> FloatTensor<B> {
    let shape = queries.shape();
    let pass = Pass::<B>::new(queries, keys, values, windows, heads);
    B::float_reshape(B::float_matmul(pass.weights, pass.values), shape)
}

pub(super) fn windowed_attention_backward<B: Backend>(
    queries: FloatTensor<B>,
    keys: FloatTensor<B>,
    values: FloatTensor<B>,
    windows: &Windows,
    heads: usize,
    dy: FloatTensor<B>,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let shape = queries.shape();
    let nothing = B::float_mul_scalar(keys.clone(), 0.0.into()); // [batch, cells, heads · d_head]
    let pass = Pass::<B>::new(queries, keys, values, windows, heads);
    let Sizes { batch, queries, heads, d_head, window } = pass.sizes;
    let dy = B::float_reshape(dy, [batch, queries, heads, 1, d_head].into());

    let dweights = B::float_matmul(dy.clone(), transposed::<B>(pass.values));
    let shared = B::float_sum_dim(B::float_mul(pass.weights.clone(), dweights.clone()), 4);
    let dscores = B::float_mul(pass.weights.clone(), B::float_sub(dweights, shared)); // [batch, queries, heads, 1, window]
    let dqueries =
        B::float_mul_scalar(B::float_matmul(dscores.clone(), pass.keys), scale(pass.sizes).into());

    let index = pass.index;
    let scattered = |weights: FloatTensor<B>, vectors: FloatTensor<B>| {
        let of_windows = B::float_matmul(transposed::<B>(weights), vectors); // [batch, queries, heads, window, d_head]
        let of_windows = B::float_swap_dims(of_windows, 2, 3);
        let of_windows =
            B::float_reshape(of_windows, [batch, queries * window, heads * d_head].into());
        B::float_scatter(1, nothing.clone(), index.clone(), of_windows, IndexingUpdateOp::Add)
    };
    let (dkeys, dvalues) = (scattered(dscores, pass.queries), scattered(pass.weights, dy));
    (B::float_reshape(dqueries, shape), dkeys, dvalues)
}
