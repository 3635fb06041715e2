//! Depthwise convolution of channels-last maps: every channel has a small filter of its own.
//!
//! Source: the 7 × 7 layer of Liu et al., "A ConvNet for the 2020s" (arXiv 2201.03545). Channels-last, because the
//! layers around it are a layer norm and matrix products over channels.

mod fast;
mod gradient;
mod reference;

use burn::backend::{Backend, Dispatch, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;

/// Depthwise convolution as a backend operator. Each default body is the meaning; a backend overrides what it can do faster.
#[backend_extension(Flex, LibTorch: cfg(feature = "libtorch"), Cube: cfg(feature = "cuda"), Autodiff)]
pub trait DepthwiseConvOps: Backend {
    /// See [`depthwise_conv2d`](crate::depthwise_conv2d).
    fn fused_depthwise_conv2d(x: FloatTensor<Self>, weight: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self> {
        reference::depthwise_conv2d::<Self>(x, weight, bias)
    }

    /// Gradient of [`depthwise_conv2d`](crate::depthwise_conv2d) with respect to `x`.
    fn fused_depthwise_conv2d_x_backward(x: FloatTensor<Self>, weight: FloatTensor<Self>, dy: FloatTensor<Self>) -> FloatTensor<Self> {
        reference::depthwise_conv2d_x_backward::<Self>(x, weight, dy)
    }

    /// Gradients of [`depthwise_conv2d`](crate::depthwise_conv2d) with respect to `weight` and `bias`.
    fn fused_depthwise_conv2d_weight_backward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        dy: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        reference::depthwise_conv2d_weight_backward::<Self>(x, weight, dy)
    }
}

/// Correlates every channel with its own filter; stride 1, zeros outside, output as large as the input.
///
/// `y[b, i, j, c] = bias[c] + Σ_uv weight[c, 0, u, v] · x[b, i + u - r, j + v - r, c]`, `r = (k - 1) / 2`
///
/// # Shapes
///
/// - `x`, output: `[batch, height, width, channels]`
/// - `weight`: `[channels, 1, k, k]`, `k` odd
/// - `bias`: `[channels]`
///
/// # Panics
///
/// If `weight` or `bias` has another shape.
pub fn depthwise_conv2d(x: Tensor<4>, weight: Tensor<4>, bias: Tensor<1>) -> Tensor<4> {
    let channels = x.dims()[3];
    let k = weight.dims()[2];
    assert!(k % 2 == 1, "depthwise_conv2d needs a filter of odd size, got {k}");
    assert_eq!(weight.dims(), [channels, 1, k, k], "depthwise_conv2d: shape of the weight");
    assert_eq!(bias.dims(), [channels], "depthwise_conv2d: shape of the bias");
    let [x, weight] = [x, weight].map(Tensor::into_dispatch);
    Tensor::from_dispatch(Dispatch::fused_depthwise_conv2d(x, weight, bias.into_dispatch()))
}

#[cfg(test)]
mod tests;
