//! GELU, SiLU, the gated SiLU of a language model's feed-forward layer, and the ReLU6 of small
//! convolutional networks.
//!
//! Sources: Hendrycks and Gimpel, "Gaussian Error Linear Units" (arXiv 1606.08415); Elfwing et al.,
//! "Sigmoid-Weighted Linear Units" (arXiv 1702.03118); Shazeer, "GLU Variants Improve Transformer"
//! (arXiv 2002.05202); Sandler et al., "MobileNetV2" (arXiv 1801.04381).

pub(crate) mod fast;
mod gradient;
mod reference;

use burn::backend::{Backend, Dispatch, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;

/// Activations as backend operators. The default bodies define the semantics; a backend may
/// override them with faster ones.
#[backend_extension(Flex, LibTorch: cfg(feature = "libtorch"), Cube: cfg(feature = "cuda"), Autodiff)]
pub trait ActivationOps: Backend {
    /// See [`gelu`](crate::gelu).
    fn fused_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        reference::gelu::<Self>(x)
    }

    /// Gradient of [`gelu`](crate::gelu) with respect to `x`.
    fn fused_gelu_backward(x: FloatTensor<Self>, dy: FloatTensor<Self>) -> FloatTensor<Self> {
        reference::gelu_backward::<Self>(x, dy)
    }

    /// See [`silu`](crate::silu).
    fn fused_silu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        reference::silu::<Self>(x)
    }

    /// Gradient of [`silu`](crate::silu) with respect to `x`.
    fn fused_silu_backward(x: FloatTensor<Self>, dy: FloatTensor<Self>) -> FloatTensor<Self> {
        reference::silu_backward::<Self>(x, dy)
    }

    /// See [`silu_gate`](crate::silu_gate).
    fn fused_silu_gate(a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self> {
        reference::silu_gate::<Self>(a, b)
    }

    /// Gradients of [`silu_gate`](crate::silu_gate) with respect to `a` and `b`.
    fn fused_silu_gate_backward(
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        dy: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        reference::silu_gate_backward::<Self>(a, b, dy)
    }

    /// See [`relu6`](crate::relu6).
    fn fused_relu6(x: FloatTensor<Self>) -> FloatTensor<Self> {
        reference::relu6::<Self>(x)
    }

    /// Gradient of [`relu6`](crate::relu6) with respect to its input; `y` is its output.
    fn fused_relu6_backward(y: FloatTensor<Self>, dy: FloatTensor<Self>) -> FloatTensor<Self> {
        reference::relu6_backward::<Self>(y, dy)
    }
}

/// `x Φ(x)`, with the exact normal distribution `Φ` and not its tanh approximation.
///
/// # Shapes
///
/// - `x`, output: any shape
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::fused_gelu(x.into_dispatch()))
}

/// `x σ(x)`, also called swish.
///
/// # Shapes
///
/// - `x`, output: any shape
pub fn silu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::fused_silu(x.into_dispatch()))
}

/// `silu(a) · b`, element by element.
///
/// # Shapes
///
/// - `a`, `b`, output: one shape for all three
///
/// # Panics
///
/// If the shapes of `a` and `b` differ.
pub fn silu_gate<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
    assert_eq!(a.dims(), b.dims(), "silu_gate needs two tensors of one shape");
    Tensor::from_dispatch(Dispatch::fused_silu_gate(a.into_dispatch(), b.into_dispatch()))
}

/// `min(max(x, 0), 6)`; its gradient is 0 at both bounds.
///
/// # Shapes
///
/// - `x`, output: any shape
pub fn relu6<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::fused_relu6(x.into_dispatch()))
}

#[cfg(test)]
mod tests;
