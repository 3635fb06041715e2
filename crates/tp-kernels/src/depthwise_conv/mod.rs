//! Depthwise convolution of channels-last maps: every channel has its own small filter.
//!
//! Sources: the 7 × 7 layer of Liu et al., "A ConvNet for the 2020s" (arXiv 2201.03545); the
//! strided 3 × 3 and 5 × 5 layers of Tan and Le, "EfficientNet" (arXiv 1905.11946). The maps are
//! channels-last because the surrounding layers are norms and matrix products over channels.

mod fast;
mod gradient;
mod reference;

use burn::backend::{Backend, Dispatch, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;

use crate::ops::ActivationOps;

/// Depthwise convolution as a backend operator. The default bodies define the semantics; a backend
/// may override them with faster ones.
#[backend_extension(Flex, LibTorch: cfg(feature = "libtorch"), Cube: cfg(feature = "cuda"), Autodiff)]
pub trait DepthwiseConvOps: Backend + ActivationOps {
    /// See [`depthwise_conv2d_same`](crate::depthwise_conv2d_same).
    fn fused_depthwise_conv2d(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        stride: usize,
    ) -> FloatTensor<Self> {
        reference::depthwise_conv2d::<Self>(x, weight, bias, stride)
    }

    /// See [`depthwise_conv2d_relu6`](crate::depthwise_conv2d_relu6).
    fn fused_depthwise_conv2d_relu6(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        stride: usize,
    ) -> FloatTensor<Self> {
        Self::fused_relu6(Self::fused_depthwise_conv2d(x, weight, bias, stride))
    }

    /// Gradient of [`depthwise_conv2d_same`](crate::depthwise_conv2d_same) with respect to `x`.
    fn fused_depthwise_conv2d_x_backward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        stride: usize,
    ) -> FloatTensor<Self> {
        reference::depthwise_conv2d_x_backward::<Self>(x, weight, dy, stride)
    }

    /// Gradients of [`depthwise_conv2d_same`](crate::depthwise_conv2d_same) with respect to
    /// `weight` and `bias`.
    fn fused_depthwise_conv2d_weight_backward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        stride: usize,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        reference::depthwise_conv2d_weight_backward::<Self>(x, weight, dy, stride)
    }
}

/// Correlates every channel with its own filter, with stride 1 and zero padding; the output has the
/// size of the input.
///
/// `y[b, i, j, c] = bias[c] + Σ_uv weight[c, 0, u, v] · x[b, i + u - r, j + v - r, c]`, `r = (k -
/// 1) / 2`
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
    depthwise_conv2d_same(x, weight, bias, 1)
}

/// Correlates every channel with its own filter, with stride `stride` and TensorFlow's SAME
/// padding.
///
/// `y[b, i, j, c] = bias[c] + Σ_uv weight[c, 0, u, v] · x[b, s i + u - p_h, s j + v - p_w, c]`,
/// where `p` is half of the total padding along an axis, `(⌈n / s⌉ - 1) s + k - n`, rounded down;
/// the rest is below and on the right.
///
/// # Shapes
///
/// - `x`: `[batch, height, width, channels]`
/// - `weight`: `[channels, 1, k, k]`, `k` odd
/// - `bias`: `[channels]`
/// - output: `[batch, ⌈height / stride⌉, ⌈width / stride⌉, channels]`
///
/// # Panics
///
/// If `weight` or `bias` has another shape, or `stride` is 0.
pub fn depthwise_conv2d_same(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Tensor<1>,
    stride: usize,
) -> Tensor<4> {
    check_shapes(&x, &weight, &bias, stride);
    let [x, weight] = [x, weight].map(Tensor::into_dispatch);
    Tensor::from_dispatch(Dispatch::fused_depthwise_conv2d(x, weight, bias.into_dispatch(), stride))
}

/// As [`depthwise_conv2d_same`], followed by [`relu6`](crate::relu6).
///
/// # Panics
///
/// As [`depthwise_conv2d_same`].
pub fn depthwise_conv2d_relu6(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Tensor<1>,
    stride: usize,
) -> Tensor<4> {
    check_shapes(&x, &weight, &bias, stride);
    let [x, weight] = [x, weight].map(Tensor::into_dispatch);
    Tensor::from_dispatch(Dispatch::fused_depthwise_conv2d_relu6(
        x,
        weight,
        bias.into_dispatch(),
        stride,
    ))
}

fn check_shapes(x: &Tensor<4>, weight: &Tensor<4>, bias: &Tensor<1>, stride: usize) {
    let (channels, k) = (x.dims()[3], weight.dims()[2]);
    assert!(stride > 0, "depthwise_conv2d needs a stride of at least 1");
    assert!(k % 2 == 1, "depthwise_conv2d needs a filter of odd size, got {k}");
    assert_eq!(weight.dims(), [channels, 1, k, k], "depthwise_conv2d: shape of the weight");
    assert_eq!(bias.dims(), [channels], "depthwise_conv2d: shape of the bias");
}

#[cfg(test)]
mod tests;
