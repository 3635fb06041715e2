//! Softmax, layer norm and RMS norm along the last dimension.
//!
//! Sources: Ba, Kiros and Hinton, "Layer Normalization" (arXiv 1607.06450); Zhang and Sennrich,
//! "Root Mean Square Layer Normalization" (arXiv 1910.07467).

mod fast;
mod gradient;
mod reference;

use burn::backend::{Backend, Dispatch, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;

/// Normalization as backend operators. The default bodies define the semantics; a backend may
/// override them with faster ones.
#[backend_extension(Flex, LibTorch: cfg(feature = "libtorch"), Cube: cfg(feature = "cuda"), Autodiff)]
pub trait NormalizationOps: Backend {
    /// See [`softmax`](crate::softmax).
    fn fused_softmax(x: FloatTensor<Self>) -> FloatTensor<Self> {
        reference::softmax::<Self>(x)
    }

    /// Gradient of [`softmax`](crate::softmax), from its output `y`.
    fn fused_softmax_backward(y: FloatTensor<Self>, dy: FloatTensor<Self>) -> FloatTensor<Self> {
        reference::softmax_backward::<Self>(y, dy)
    }

    /// See [`layer_norm`](crate::layer_norm).
    fn fused_layer_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        eps: f64,
    ) -> FloatTensor<Self> {
        reference::layer_norm::<Self>(x, gamma, beta, eps)
    }

    /// Gradients of [`layer_norm`](crate::layer_norm) with respect to `x`, `gamma` and `beta`.
    fn fused_layer_norm_backward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        eps: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        reference::layer_norm_backward::<Self>(x, gamma, dy, eps)
    }

    /// See [`rms_norm`](crate::rms_norm).
    fn fused_rms_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        eps: f64,
    ) -> FloatTensor<Self> {
        reference::rms_norm::<Self>(x, gamma, eps)
    }

    /// Gradients of [`rms_norm`](crate::rms_norm) with respect to `x` and `gamma`.
    fn fused_rms_norm_backward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        eps: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        reference::rms_norm_backward::<Self>(x, gamma, dy, eps)
    }
}

/// `e^x / Σ e^x` along the last dimension.
///
/// # Shapes
///
/// - `x`, output: `[.., width]`
///
/// A row that consists of `-∞` only gives NaN.
pub fn softmax<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::fused_softmax(x.into_dispatch()))
}

/// `(x - mean) / √(variance + eps) · gamma + beta` along the last dimension, with the biased
/// variance.
///
/// # Shapes
///
/// - `x`, output: `[.., width]`
/// - `gamma`, `beta`: `[width]`
///
/// # Panics
///
/// If the width of `gamma` or `beta` differs from that of `x`.
pub fn layer_norm<const D: usize>(
    x: Tensor<D>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    eps: f64,
) -> Tensor<D> {
    let width = x.dims()[D - 1];
    assert_eq!(
        [gamma.dims(), beta.dims()],
        [[width], [width]],
        "layer_norm needs gamma and beta as wide as x"
    );
    let [gamma, beta] = [gamma, beta].map(Tensor::into_dispatch);
    Tensor::from_dispatch(Dispatch::fused_layer_norm(x.into_dispatch(), gamma, beta, eps))
}

/// `x / √(mean(x²) + eps) · gamma` along the last dimension.
///
/// # Shapes
///
/// - `x`, output: `[.., width]`
/// - `gamma`: `[width]`
///
/// # Panics
///
/// If the width of `gamma` differs from that of `x`.
pub fn rms_norm<const D: usize>(x: Tensor<D>, gamma: Tensor<1>, eps: f64) -> Tensor<D> {
    assert_eq!(gamma.dims(), [x.dims()[D - 1]], "rms_norm needs gamma as wide as x");
    Tensor::from_dispatch(Dispatch::fused_rms_norm(x.into_dispatch(), gamma.into_dispatch(), eps))
}

#[cfg(test)]
mod tests;
