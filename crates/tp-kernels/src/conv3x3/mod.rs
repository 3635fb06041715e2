//! A 3 × 3 convolution of channels-last maps with stride 1 and zero padding.
//!
//! Burn's convolution is channels-first: it would need two permutations of the map and a copy of
//! every neighborhood.

mod fast;
mod gradient;
mod reference;

use burn::backend::{Backend, Dispatch, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;

/// The convolution as a backend operator. The default bodies define the semantics; a backend may
/// override them with faster ones.
#[backend_extension(Flex, LibTorch: cfg(feature = "libtorch"), Cube: cfg(feature = "cuda"), Autodiff)]
pub trait Conv3x3Ops: Backend {
    /// See [`conv3x3`](crate::conv3x3).
    fn fused_conv3x3(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        reference::conv3x3::<Self>(x, weight)
    }

    /// Gradient of [`conv3x3`](crate::conv3x3) with respect to `weight`.
    fn fused_conv3x3_weight_backward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        dy: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        reference::conv3x3_weight_backward::<Self>(x, weight, dy)
    }
}

/// `y[b, i, j, o] = Σ_uvc weight[o, c, u, v] · x[b, i + u - 1, j + v - 1, c]`
///
/// # Shapes
///
/// - `x`: `[batch, height, width, from]`
/// - `weight`: `[to, from, 3, 3]`
/// - output: `[batch, height, width, to]`
///
/// # Panics
///
/// If `weight` has another shape.
pub fn conv3x3(x: Tensor<4>, weight: Tensor<4>) -> Tensor<4> {
    let (from, to) = (x.dims()[3], weight.dims()[0]);
    assert_eq!(weight.dims(), [to, from, 3, 3], "conv3x3: shape of the weight");
    Tensor::from_dispatch(Dispatch::fused_conv3x3(x.into_dispatch(), weight.into_dispatch()))
}

#[cfg(test)]
mod tests;
