//! Cross-attention of queries that may read a few cells each, listed beforehand.
//!
//! A fixed mask around a point opens a handful of an image's cells. Reading only those costs what
//! the window holds, however large the image is; the result is that of dense attention under the
//! same mask.
//!
//! Source of the task: Talking Points (arXiv 2510.14583), Gaussian attention mask.

mod fast;
mod gradient;
mod reference;
mod windows;

use std::sync::Arc;

use burn::backend::{Backend, Dispatch, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;

pub use windows::Windows;

/// Windowed attention as a backend operator. Each default body is the meaning; a backend overrides
/// what it can do faster.
#[backend_extension(Flex, LibTorch: cfg(feature = "libtorch"), Cube: cfg(feature = "cuda"), Autodiff)]
pub trait WindowedAttentionOps: Backend {
    /// See [`windowed_attention`](crate::windowed_attention).
    fn fused_windowed_attention(
        queries: FloatTensor<Self>,
        keys: FloatTensor<Self>,
        values: FloatTensor<Self>,
        windows: Arc<Windows>,
        heads: usize,
    ) -> FloatTensor<Self> {
        reference::windowed_attention::<Self>(queries, keys, values, &windows, heads)
    }

    /// Gradients of [`windowed_attention`](crate::windowed_attention) with respect to `queries`,
    /// `keys` and `values`.
    fn fused_windowed_attention_backward(
        queries: FloatTensor<Self>,
        keys: FloatTensor<Self>,
        values: FloatTensor<Self>,
        windows: Arc<Windows>,
        heads: usize,
        dy: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        reference::windowed_attention_backward::<Self>(queries, keys, values, &windows, heads, dy)
    }
}

/// `softmax(q · kᵀ / √d_head + bias) · v` over the cells of each query's window, for every head
/// apart.
///
/// # Shapes
///
/// - `queries`: `[batch, queries, heads · d_head]`
/// - `keys`, `values`: `[batch, cells, heads · d_head]`
/// - `windows`: one for each of `batch · queries`, of cells below `cells`
/// - output: `[batch, queries, heads · d_head]`
///
/// # Panics
///
/// If the shapes do not fit together, or a window holds a cell that does not exist.
pub fn windowed_attention(
    queries: Tensor<3>,
    keys: Tensor<3>,
    values: Tensor<3>,
    windows: &Arc<Windows>,
    heads: usize,
) -> Tensor<3> {
    let [batch, n_queries, width] = queries.dims();
    let cells = keys.dims()[1];
    assert!(
        heads > 0 && width.is_multiple_of(heads),
        "windowed_attention: {width} numbers in {heads} heads"
    );
    assert_eq!(keys.dims(), [batch, cells, width], "windowed_attention: keys");
    assert_eq!(values.dims(), [batch, cells, width], "windowed_attention: values");
    assert_eq!(windows.len(), batch * n_queries, "windowed_attention: a window for every query");
    assert!(
        windows.n_cells() <= cells,
        "windowed_attention: a window reaches cell {} of {cells}",
        windows.n_cells()
    );
    let [queries, keys, values] = [queries, keys, values].map(Tensor::into_dispatch);
    Tensor::from_dispatch(Dispatch::fused_windowed_attention(
        queries,
        keys,
        values,
        windows.clone(),
        heads,
    ))
}

#[cfg(test)]
mod tests;
